// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const sink = `
exporters:
  debug:
service:
  pipelines:
    metrics: {receivers: [RECEIVER], exporters: [debug]}
    logs: {receivers: [RECEIVER], exporters: [debug]}
    traces: {receivers: [RECEIVER], exporters: [debug]}
`

// validate runs `otelcol-infra validate` on a configuration of one receiver.
func validate(t *testing.T, receiver, settings string) (string, error) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	content := "receivers:\n  " + receiver + ":\n    " + settings + strings.ReplaceAll(sink, "RECEIVER", receiver)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return invoke(t, "validate", "--config", file)
}

func TestDefaultsAreValid(t *testing.T) {
	for _, receiver := range []string{"consul", "etcd", "vault"} {
		output, err := validate(t, receiver, "")
		require.NoError(t, err, output)
	}
}

func TestWrongConfigurationIsRefusedWithAdvice(t *testing.T) {
	for receiver, noEndpoint := range map[string]struct{ settings, want string }{
		"consul": {`endpoint: ""`, "endpoint is empty: set it to a URL such as http://127.0.0.1:8500"},
		"etcd":   {`endpoints: []`, "endpoints is empty: list the client URLs of the members, such as http://127.0.0.1:2379"},
		"vault":  {`endpoint: ""`, "endpoint is empty: set it to a URL such as http://127.0.0.1:8200"},
	} {
		for name, tc := range map[string]struct {
			settings string
			want     []string
		}{
			"unknown key":    {"colection_interval: 10s", []string{"has invalid keys: colection_interval", "README lists its keys"}},
			"bad duration":   {"collection_interval: soon", []string{"collection_interval", "write durations like 10s"}},
			"empty endpoint": {noEndpoint.settings, []string{noEndpoint.want}},
		} {
			t.Run(receiver+" "+name, func(t *testing.T) {
				output, err := validate(t, receiver, tc.settings)
				require.Error(t, err)
				for _, want := range tc.want {
					assert.Contains(t, output, want)
				}
			})
		}
	}
	for _, receiver := range []string{"consul", "vault"} {
		t.Run(receiver+" unreadable token file", func(t *testing.T) {
			output, err := validate(t, receiver, "token_file: /nowhere/token")
			require.Error(t, err)
			assert.Contains(t, output, "token_file cannot be read, check its path and permissions")
		})
	}
}

func TestShippedConfigurationIsValid(t *testing.T) {
	output, err := invoke(t, "validate", "--config", config)
	require.NoError(t, err, output)
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// Every YAML block of a README is a whole configuration that loads.
func TestReadmeSnippetsLoad(t *testing.T) {
	readmes, err := filepath.Glob("../*/*/README.md")
	require.NoError(t, err)
	snippets := 0
	for _, readme := range append(readmes, "../README.md") {
		for _, file := range snippetsOf(t, readme) {
			snippets++
			output, err := invoke(t, "validate", "--config", file)
			require.NoError(t, err, "%s: %s", readme, output)
		}
	}
	assert.GreaterOrEqual(t, snippets, 3, "each receiver's README has one")
}

// Those of a guide load on top of the shipped configuration.
func TestGuideSnippetsLoad(t *testing.T) {
	guides, err := filepath.Glob("../docs/guides/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, guides)
	for _, guide := range guides {
		if filepath.Base(guide) == "kubernetes.md" {
			continue // Its YAML is for the chart: distribution/kubernetes tests it.
		}
		for _, file := range snippetsOf(t, guide) {
			output, err := invoke(t, "validate", "--config", config, "--config", file)
			require.NoError(t, err, "%s: %s", guide, output)
			assertExemplarsStay(t, guide, file)
		}
	}
}

// assertExemplarsStay fails if a guide's list of processors, which replaces that of the
// default configuration, leaves the exemplar processor out.
func assertExemplarsStay(t *testing.T, guide, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var snippet struct {
		Service struct {
			Pipelines map[string]struct{ Processors []string }
		}
	}
	require.NoError(t, yaml.Unmarshal(content, &snippet))
	for name, pipeline := range snippet.Service.Pipelines {
		if pipeline.Processors != nil && !strings.HasPrefix(name, "logs") {
			assert.Contains(t, pipeline.Processors, "exemplar", "%s, pipeline %s", guide, name)
		}
	}
}

// snippetsOf writes each YAML block of a guide into a file of its own.
func snippetsOf(t *testing.T, guide string) (files []string) {
	t.Helper()
	content, err := os.ReadFile(guide)
	require.NoError(t, err)
	for _, block := range yamlBlock.FindAllStringSubmatch(string(content), -1) {
		file := filepath.Join(t.TempDir(), "snippet.yaml")
		require.NoError(t, os.WriteFile(file, []byte(block[1]), 0o600))
		files = append(files, file)
	}
	return files
}

func TestTheBinaryHoldsTheManifest(t *testing.T) {
	type module struct {
		Module string `yaml:"module"`
		GoMod  string `yaml:"gomod"`
		Import string `yaml:"import"`
	}
	output, err := invoke(t, "components")
	require.NoError(t, err, output)
	var holds map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(output), &holds))
	content, err := os.ReadFile("../builder-config.yaml")
	require.NoError(t, err)
	var manifest map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal(content, &manifest))
	for _, kind := range []string{"receivers", "processors", "exporters", "connectors", "extensions", "providers"} {
		node := manifest[kind]
		var want []module
		require.NoError(t, node.Decode(&want))
		listed, err := yaml.Marshal(holds[kind])
		require.NoError(t, err)
		var got []module
		require.NoError(t, yaml.Unmarshal(listed, &got))
		var wanted, held []string
		for _, m := range want {
			wanted = append(wanted, m.GoMod)
		}
		for _, m := range got {
			held = append(held, m.Module)
		}
		assert.ElementsMatch(t, wanted, held, kind)
	}
}
