// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// whatIsRequired has no default.
var whatIsRequired = []string{
	"GATEWAY_ENDPOINT=gateway.example:4317", "GATEWAYS=[gateway-1.example:4319, gateway-2.example:4319]",
	"GATEWAYS_DNS=gateway.example", "JAEGER_OTLP_ENDPOINT=jaeger.example:4317", "EVENTS_OTLP_ENDPOINT=http://loki.example/otlp",
}

// shipped returns the paths of shipped configurations, such as agent and agent-vault.
func shipped(t *testing.T, names ...string) (files []string) {
	t.Helper()
	for _, name := range names {
		file, err := filepath.Abs("../distribution/config/" + name + ".yaml")
		require.NoError(t, err)
		files = append(files, file)
	}
	return files
}

// runShipped runs a subcommand of the collector, or the collector itself until it ends, with these files.
func runShipped(t *testing.T, subcommand []string, files, env []string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := subcommand
	for _, file := range files {
		args = append(args, "--config="+file)
	}
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Env, cmd.Dir = append(os.Environ(), env...), t.TempDir()
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// An agent can have any additions, and so can a gateway.
func TestEachDeploymentIsValid(t *testing.T) {
	for _, base := range []string{"agent", "gateway"} {
		additions, err := filepath.Glob("../distribution/config/" + base + "-*.yaml")
		require.NoError(t, err)
		require.NotEmpty(t, additions)
		for chosen := range 1 << len(additions) {
			files := []string{"../distribution/config/" + base + ".yaml"}
			for i, addition := range additions {
				if chosen&(1<<i) != 0 {
					files = append(files, addition)
				}
			}
			for i, file := range files {
				files[i], err = filepath.Abs(file)
				require.NoError(t, err)
			}
			output, err := runShipped(t, []string{"validate"}, files, whatIsRequired)
			require.NoError(t, err, "%v: %s", files, output)
		}
	}
}

// The last line names what is missing, and there is no stack trace.
func TestWhatADeploymentLacksIsNamed(t *testing.T) {
	certs := guideCertificates(t, "IP:127.0.0.1")
	away := []string{"OTLP_GRPC_ENDPOINT=127.0.0.1:0", "OTLP_HTTP_ENDPOINT=127.0.0.1:0", "BALANCED_ENDPOINT=127.0.0.1:0",
		"HEALTH_CHECK_ENDPOINT=127.0.0.1:0", "TELEMETRY_PORT=0", "PROMETHEUS_EXPORTER_ENDPOINT=127.0.0.1:0", "APPLICATIONS_EXPORTER_ENDPOINT=127.0.0.1:0"}
	unreadable := filepath.Join(t.TempDir(), "tls.key")
	writeFile(t, unreadable, "no key")
	for name, c := range map[string]struct {
		deployment string
		env        []string
		want       []string
	}{
		"no GATEWAY_ENDPOINT":       {"agent", certs.env(), []string{"otlp_grpc/", "GATEWAY_ENDPOINT (which is not set)"}},
		"an empty GATEWAY_ENDPOINT": {"agent", append(certs.env(), "GATEWAY_ENDPOINT="), []string{"otlp_grpc/", `requires a non-empty "endpoint"`}},
		"no JAEGER_OTLP_ENDPOINT":   {"gateway", append(certs.env(), "GATEWAYS=[127.0.0.1:1]"), []string{"otlp_grpc/jaeger", `requires a non-empty "endpoint"`}},
		"no GATEWAYS":               {"gateway", append(certs.env(), "JAEGER_OTLP_ENDPOINT=127.0.0.1:1"), []string{"load_balancing", "no endpoints specified for the static resolver"}},
		"no CA":                     {"agent", append(certs.env(), "TLS_CA_FILE=/nowhere/ca.crt"), []string{"/nowhere/ca.crt", "no such file"}},
		"no certificate":            {"agent", append(certs.env(), "TLS_CERT_FILE=/nowhere/tls.crt"), []string{"/nowhere/tls.crt", "no such file"}},
		"no CA for clients":         {"gateway", append(certs.env(), "TLS_CA_FILE=/nowhere/ca.crt"), []string{"/nowhere/ca.crt", "no such file"}},
		"no key":                    {"gateway", append(certs.env(), "TLS_KEY_FILE=/nowhere/tls.key"), []string{"/nowhere/tls.key", "no such file"}},
		"a key that is none":        {"gateway", append(certs.env(), "TLS_KEY_FILE="+unreadable), []string{"failed to load TLS cert and key", "key input"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := slices.Concat(away, c.env)
			if c.deployment == "agent" && !strings.Contains(name, "GATEWAY_ENDPOINT") || c.deployment == "gateway" && name != "no GATEWAYS" && name != "no JAEGER_OTLP_ENDPOINT" {
				env = append(env, whatIsRequired...)
			}
			output, err := runShipped(t, nil, shipped(t, c.deployment), env)
			require.Error(t, err)
			assert.NotContains(t, output, "goroutine ")
			if variable, found := strings.CutPrefix(name, "no "); found && c.deployment == "gateway" && strings.ToUpper(variable) == variable {
				assert.Contains(t, output, `unset environment variable	{"name": "`+variable+`"}`)
			}
			lines := strings.Split(strings.TrimSpace(output), "\n")
			last := lines[len(lines)-1]
			for _, want := range c.want {
				assert.Contains(t, last, want)
			}
		})
	}
}

var runCommand = regexp.MustCompile(`(?m)^otelcol-infra((?: --config \S+)+)$`)

// The commands of the guides are ones that can be run.
func TestGuidesRunWhatIsShipped(t *testing.T) {
	token := filepath.Join(t.TempDir(), "vault-token")
	writeFile(t, token, "token")
	for _, guide := range []string{"agent", "gateway"} {
		content, err := os.ReadFile("../docs/guides/" + guide + ".md")
		require.NoError(t, err)
		found := 0
		for _, block := range shellBlock.FindAllStringSubmatch(string(content), -1) {
			command := runCommand.FindStringSubmatch(block[1])
			if command == nil {
				continue
			}
			found++
			var names []string
			for _, word := range strings.Fields(command[1]) {
				if name, ok := strings.CutSuffix(word, ".yaml"); ok {
					names = append(names, name)
				}
			}
			// The variables that the guide sets, and no others. The shell reads them as a user's does.
			script := strings.Replace(block[1], "otelcol-infra --config", `"$0" validate --config`, 1)
			script = strings.ReplaceAll(script, "/etc/otelcol-infra/credentials/vault-token", token)
			for _, name := range names {
				script = strings.Replace(script, " "+name+".yaml", " "+shipped(t, name)[0], 1)
			}
			output, err := exec.CommandContext(t.Context(), "sh", "-euc", script, binary(t)).CombinedOutput()
			require.NoError(t, err, "%s: %s", guide, output)
		}
		assert.NotZero(t, found, guide)
	}
}
