// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n# (values|container)\n(.*?)```")

// The guide's values and its container of Vault's pod are what they say.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, match := range yamlBlock.FindAllStringSubmatch(string(guide), -1) {
		blocks[match[1]] = match[2]
	}
	values := valuesFrom(t, blocks["values"])
	objects := mustDecode(t, mustRender(t, values))
	checkSelectors(t, objects)
	checkMounts(t, objects, secretsOf(values))
	if len(workloads(objects)) != 2 {
		t.Errorf("the guide's values have %d workloads", len(workloads(objects)))
	}

	var container core.Container
	if err := yaml.UnmarshalStrict([]byte(blocks["container"]), &container); err != nil {
		t.Fatal(err)
	}
	checkContainerPrivileges(t, container)
	w := workload{name: "sidecar", pod: core.PodTemplateSpec{Spec: core.PodSpec{Containers: []core.Container{container}}}}
	for _, file := range configFiles(w) {
		if _, err := os.Stat(shipped(path.Base(file))); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(collector); err == nil {
		if err := validate(t, w, &core.ConfigMap{}); err != nil {
			t.Error(err)
		}
	}
	for key := range valuesOf(t, "chart/values.yaml")["gateway"].(map[string]any) {
		switch key {
		case "jaegerInsecure", "decisionWaitSeconds", "podDisruptionBudget", "tls", "podAnnotations", "podLabels", "nodeSelector", "tolerations",
			"affinity", "topologySpreadConstraints", "priorityClassName", "extraVolumes", "extraVolumeMounts":
			continue // only in values.yaml
		}
		if !strings.Contains(string(guide), "."+key) {
			t.Errorf("the guide's table has no %s", key)
		}
	}
}
