// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"regexp"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var (
	ofHelm = regexp.MustCompile(`(?m)^ +(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n`)
	// Kustomize makes ConfigMaps itself, and restarts pods by their names.
	configMaps = regexp.MustCompile(`(?s)---\napiVersion: v1\nkind: ConfigMap\n.*?\n(---\n)`)
	checksum   = regexp.MustCompile(`(?m)^ +annotations:\n +# A changed .*\n +checksum/config: .*\n`)
)

// The base is the chart with other means of changing it, so both never differ.
func TestKustomizeBaseIsTheChart(t *testing.T) {
	rendered := mustRender(t, valuesOf(t, "kustomize/values.yaml"))
	if strings.Contains(rendered, namespace) {
		t.Error("the base names a namespace, which overlays set")
	}
	resources := ofHelm.ReplaceAllString(checksum.ReplaceAllString(rendered, ""), "")
	for configMaps.MatchString(resources) {
		resources = configMaps.ReplaceAllString(resources, "$1")
	}
	compare(t, "kustomize/base/resources.yaml", []byte(resources))
	if got, want := len(mustDecode(t, build(t, "kustomize/base"))), len(mustDecode(t, rendered)); got != want {
		t.Errorf("the base has %d objects, and the chart %d", got, want)
	}
}

func build(t *testing.T, folder string) string {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	content, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestKustomizeOverlay(t *testing.T) {
	objects := mustDecode(t, build(t, "kustomize/overlays/example"))
	checkSelectors(t, objects)
	checkGateways(t, objects)
	checkMounts(t, objects, map[string]bool{"otelcol-infra-tls": true})
	for _, w := range workloads(objects) {
		checkPrivileges(t, w)
		if image := w.container().Image; image != "ghcr.io/otelcol-infra/otelcol-infra:0.2.0" {
			t.Errorf("%s: the image is %s", w.name, image)
		}
	}
	if agents := of[*apps.DaemonSet](objects); len(agents) > 0 {
		t.Errorf("there are agents: %v", agents)
	}
	if gateway := of[*apps.StatefulSet](objects)["otelcol-infra-gateway"]; *gateway.Spec.Replicas != 3 {
		t.Errorf("there are %d gateways", *gateway.Spec.Replicas)
	}
	for name, config := range of[*core.ConfigMap](objects) {
		if !strings.HasPrefix(name, "otelcol-infra-gateway") {
			continue
		}
		if name == "otelcol-infra-gateway" {
			t.Error("a changed ConfigMap keeps its name, so pods do not restart")
		}
		if !strings.Contains(config.Data["additions.yaml"], "num_traces: 100000") {
			t.Errorf("%s has %v", name, config.Data)
		}
	}
}
