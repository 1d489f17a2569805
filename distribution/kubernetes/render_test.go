// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the files that the tests compare with")

const (
	release   = "otelcol-infra"
	namespace = "observability"
)

// render gives the objects of the chart in one YAML stream, ordered by template.
func render(values map[string]any, namespace string) (string, error) {
	files, err := renderFiles(values, namespace)
	return stream(files), err
}

// renderFile gives what one template comes to.
func renderFile(name string, values map[string]any, namespace string) (string, error) {
	files, err := renderFiles(values, namespace)
	return files["otelcol-infra/"+strings.TrimPrefix(name, "chart/")], err
}

func renderFiles(values map[string]any, namespace string) (map[string]string, error) {
	chart, err := loader.Load("chart")
	if err != nil {
		return nil, err
	}
	return renderChart(chart, values, namespace)
}

// renderVersion renders a version of the chart, as a release makes it.
func renderVersion(t *testing.T, values, version string) string {
	t.Helper()
	chart, err := loader.Load("chart")
	if err != nil {
		t.Fatal(err)
	}
	chart.Metadata.Version, chart.Metadata.AppVersion = version, version
	files, err := renderChart(chart, valuesFrom(t, values), namespace)
	if err != nil {
		t.Fatal(err)
	}
	return stream(files)
}

func renderChart(chart *chartv2.Chart, values map[string]any, namespace string) (map[string]string, error) {
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.RenderWithContext(context.Background(), chart, all)
}

// stream leaves out templates that came to nothing, and what is not an object.
func stream(files map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for document := range strings.SplitSeq("\n"+files[name], "\n---\n") {
			if document = strings.TrimSpace(document); document != "" {
				fmt.Fprintf(&out, "---\n%s\n", document)
			}
		}
	}
	return out.String()
}

func mustRender(t *testing.T, values map[string]any) string {
	t.Helper()
	rendered, err := render(values, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// valuesOf reads a file of values.
func valuesOf(t *testing.T, path string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return valuesFrom(t, string(content))
}

func valuesFrom(t *testing.T, content string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(content), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// eachCase runs a test for each file of values in ci.
func eachCase(t *testing.T, test func(t *testing.T, name, rendered string)) {
	t.Helper()
	files, err := filepath.Glob("ci/*-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("ci holds %d files of values only", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		t.Run(name, func(t *testing.T) { test(t, name, mustRender(t, valuesOf(t, file))) })
	}
}

// compare compares a file with what it should hold; with -update it writes the file.
func compare(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date at line %d: review the change after 'go test . -update'", path, firstDifference(got, want))
	}
}

func firstDifference(a, b []byte) int {
	left, right := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range left {
		if i >= len(right) || left[i] != right[i] {
			return i + 1
		}
	}
	return len(left)
}
