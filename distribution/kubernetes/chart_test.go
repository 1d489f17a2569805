// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	helm3loader "helm.sh/helm/v3/pkg/chart/loader"
	helm3util "helm.sh/helm/v3/pkg/chartutil"
	helm3engine "helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	core "k8s.io/api/core/v1"
)

// The chart reads only files within it, so it has copies of the shipped configurations.
func TestChartHasTheShippedConfigurations(t *testing.T) {
	shipped, err := filepath.Glob("../config/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(shipped) == 0 {
		t.Fatal("there are no configurations in distribution/config")
	}
	names := map[string]bool{"alerts.yaml": true} // the chart's own
	for _, path := range append(shipped, "../status.yaml") {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names[filepath.Base(path)] = true
		compare(t, filepath.Join("chart/files", filepath.Base(path)), content)
	}
	copies, err := os.ReadDir("chart/files")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range copies {
		if !names[file.Name()] {
			t.Errorf("chart/files/%s is no longer shipped: remove it", file.Name())
		}
	}
}

func TestChartRendersAsReviewed(t *testing.T) {
	eachCase(t, func(t *testing.T, name, rendered string) {
		compare(t, filepath.Join("testdata", name+".yaml"), []byte(brief(t, rendered)))
	})
	golden, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range golden {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if _, err := os.Stat("ci/" + name + "-values.yaml"); err != nil {
			t.Errorf("%s has no values in ci: remove it", path)
		}
	}
}

var checksum = regexp.MustCompile(`checksum/config: [0-9a-f]{64}`)

// brief leaves out the shipped configurations and their checksum, so that a change of
// them is reviewed once only.
func brief(t *testing.T, rendered string) string {
	t.Helper()
	files, err := filepath.Glob("chart/files/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, indent := range []string{"\n  ", "\n    "} {
			lines := indent + strings.ReplaceAll(strings.TrimSpace(string(content)), "\n", indent)
			rendered = strings.ReplaceAll(rendered, lines, indent+"# "+file)
		}
	}
	return checksum.ReplaceAllString(rendered, "checksum/config: …")
}

// With the test above this covers all that a ConfigMap holds.
func TestConfigMapsHoldTheShippedConfigurations(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		for name, config := range of[*core.ConfigMap](mustDecode(t, rendered)) {
			for file, content := range config.Data {
				if file == "additions.yaml" {
					continue
				}
				shipped, err := os.ReadFile(filepath.Join("chart/files", file))
				if err != nil {
					t.Fatal(err)
				}
				if strings.TrimSpace(content) != strings.TrimSpace(string(shipped)) {
					t.Errorf("%s: %s is not as shipped", name, file)
				}
			}
		}
	})
}

func TestHelm3RendersTheSame(t *testing.T) {
	eachCase(t, func(t *testing.T, name, rendered string) {
		chart, err := helm3loader.Load("chart")
		if err != nil {
			t.Fatal(err)
		}
		values, err := helm3util.ToRenderValues(chart, valuesOf(t, "ci/"+name+"-values.yaml"),
			helm3util.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		files, err := helm3engine.Engine{Strict: true}.Render(chart, values)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream(files); got != rendered {
			t.Errorf("Helm 3 renders another line %d", firstDifference([]byte(got), []byte(rendered)))
		}
	})
}

func TestChartIsCleanForHelmLint(t *testing.T) {
	eachCase(t, func(t *testing.T, name, _ string) {
		for _, message := range lint.RunAll("chart", valuesOf(t, "ci/"+name+"-values.yaml"), namespace).Messages {
			// Of the icon, which is recommended only.
			if !strings.Contains(message.Err.Error(), "icon is recommended") {
				t.Error(message)
			}
		}
	})
}

func TestNotesSayWhereTheCollectorsAre(t *testing.T) {
	for values, want := range map[string]string{
		"{}": "Nothing runs: set gateway.enabled, agent.enabled or observer.enabled.",
		"{gateway: {enabled: true, jaegerEndpoint: 'jaeger:4317'}, tls: {secretName: a}}":                            "otelcol-infra-gateway.observability.svc, port 4317",
		"{observer: {enabled: true, observe: [etcd], gatewayEndpoint: 'gateway:4317', tls: {secretName: observer}}}": "sts/otelcol-infra-observer 13133",
	} {
		notes, err := renderFile("chart/templates/NOTES.txt", valuesFrom(t, values), namespace)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(notes, want) {
			t.Errorf("of %s the notes are %q, without %q", values, notes, want)
		}
	}
}
