// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

const collector = "../_build/otelcol-infra"

// The collector that is built accepts what each pod starts it with.
func TestTheCollectorAcceptsItsConfiguration(t *testing.T) {
	if _, err := os.Stat(collector); err != nil {
		t.Skip("there is no collector: run make build")
	}
	eachCase(t, func(t *testing.T, _, rendered string) {
		objects := mustDecode(t, rendered)
		configs := of[*core.ConfigMap](objects)
		for _, w := range workloads(objects) {
			if err := validate(t, w, configs[configName(w)]); err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
		}
	})
	t.Run("a mistake", func(t *testing.T) {
		objects := mustDecode(t, mustRender(t, valuesFrom(t,
			`{tls: {secretName: a}, agent: {enabled: true, gatewayEndpoint: "gateway:4317", config: {receivers: {otlp: {protocol: {}}}}}}`)))
		w := workloads(objects)[0]
		if err := validate(t, w, of[*core.ConfigMap](objects)[configName(w)]); err == nil || !strings.Contains(err.Error(), "protocol") {
			t.Errorf("validate gives %v", err)
		}
	})
}

// validate runs the collector's validate with the arguments, files and variables of a pod.
func validate(t *testing.T, w workload, config *core.ConfigMap) error {
	t.Helper()
	dir := t.TempDir()
	here := func(s string) string { return strings.ReplaceAll(s, "/etc/otelcol-infra/", dir+"/") }
	write := func(file, content string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range config.Data {
		write(here("/etc/otelcol-infra/config/"+name), here(content))
	}
	for _, file := range configFiles(w) {
		if folder, name := filepath.Split(file); folder == "/etc/otelcol-infra/" {
			content, err := os.ReadFile(shipped(name))
			if err != nil {
				t.Fatal(err)
			}
			write(here(file), string(content))
		}
	}
	args := []string{"validate"}
	for _, arg := range w.container().Args {
		args = append(args, here(arg))
	}
	cmd := exec.Command(collector, args...)
	for _, variable := range environment(w) {
		cmd.Env = append(cmd.Env, here(variable))
		if name, file, _ := strings.Cut(here(variable), "="); strings.HasSuffix(name, "TOKEN_FILE") {
			write(file, "a token")
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

var reference = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

// environment is that of the pod as the kubelet makes it.
func environment(w workload) []string {
	known := map[string]string{}
	var env []string
	for _, variable := range w.container().Env {
		value := reference.ReplaceAllStringFunc(variable.Value, func(s string) string {
			if value, ok := known[reference.FindStringSubmatch(s)[1]]; ok {
				return value
			}
			return s // The kubelet leaves it, and so the collector would get it.
		})
		if variable.ValueFrom != nil {
			value = "192.0.2.7" // of all fields that pods use, as far as the collector knows
		}
		known[variable.Name] = value
		env = append(env, variable.Name+"="+value)
	}
	return env
}

func TestVariablesAreResolved(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		for _, w := range workloads(mustDecode(t, rendered)) {
			for _, variable := range environment(w) {
				if strings.Contains(variable, "$(") {
					t.Errorf("%s: %s has a reference to what is not known before it", w.name, variable)
				}
			}
		}
	})
}
