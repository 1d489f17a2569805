// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	helm3loader "helm.sh/helm/v3/pkg/chart/loader"
	helm3util "helm.sh/helm/v3/pkg/chartutil"
	helm3engine "helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
)

func TestChartRendersAsReviewed(t *testing.T) {
	eachCase(t, func(t *testing.T, name, rendered string) {
		compare(t, filepath.Join("testdata", name+".yaml"), []byte(rendered))
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
		"{observer: {enabled: true, observe: [etcd], gatewayEndpoint: 'gateway:4317', tls: {secretName: observer}}}": "sts/otelcol-infra-observer 13134",
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
