// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package compose holds an example for a container engine, and validates it.
package compose

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// load validates the project against the schema, and checks that what it refers to is there.
func load(t *testing.T) *types.Project {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}},
	})
	require.NoError(t, err)
	return project
}

func TestAllPortsAreOpenOnThisMachineOnly(t *testing.T) {
	project := load(t)
	for name, service := range project.Services {
		assert.NotEmpty(t, service.Ports, name)
		for _, port := range service.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, "%s %d", name, port.Target)
		}
	}
}

func TestTheCollectorIsSetByVariablesThatItsConfigurationKnows(t *testing.T) {
	config, err := os.ReadFile("../../collector-config.yaml")
	require.NoError(t, err)
	known := []string{"GOMEMLIMIT"} // of Go
	for _, match := range regexp.MustCompile(`\$\{env:(\w+)`).FindAllSubmatch(config, -1) {
		known = append(known, string(match[1]))
	}
	collector := load(t).Services["collector"]
	require.NotEmpty(t, collector.Environment)
	for name, value := range collector.Environment {
		assert.Contains(t, known, name)
		require.NotNil(t, value, name)
		assert.NotEmpty(t, *value, name)
	}
}

func TestFilesOfThisRepositoryThatAreMountedAreThere(t *testing.T) {
	var mounted []string
	for _, service := range load(t).Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				mounted = append(mounted, volume.Source)
			}
		}
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, path := range []string{"collector-config.yaml", "examples/compose/prometheus.yml"} {
		assert.Contains(t, mounted, filepath.Join(root, path))
		assert.FileExists(t, filepath.Join(root, path))
	}
	assert.Contains(t, mounted, filepath.Join(root, "distribution/_build/otelcol-infra")) // is built
}

func TestPrometheusScrapesTheCollectorWithItsLabelsAndExemplars(t *testing.T) {
	project := load(t)
	content, err := os.ReadFile("prometheus.yml")
	require.NoError(t, err)
	var config struct {
		Scrape []struct {
			HonorLabels bool                         `yaml:"honor_labels"`
			Static      []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal(content, &config))
	require.Len(t, config.Scrape, 1)
	assert.True(t, config.Scrape[0].HonorLabels)
	assert.True(t, slices.Contains(project.Services["prometheus"].Command, "--enable-feature=exemplar-storage"))

	var exported []string
	for _, name := range []string{"PROMETHEUS_EXPORTER_ENDPOINT", "APPLICATIONS_EXPORTER_ENDPOINT"} {
		endpoint := project.Services["collector"].Environment[name]
		require.NotNil(t, endpoint, name)
		_, port, err := net.SplitHostPort(*endpoint)
		require.NoError(t, err)
		exported = append(exported, net.JoinHostPort("collector", port))
	}
	require.Len(t, config.Scrape[0].Static, 1)
	assert.ElementsMatch(t, exported, config.Scrape[0].Static[0].Targets)
}

func TestTheCollectorAcceptsItsConfigurationWithTheseVariables(t *testing.T) {
	binary, err := filepath.Abs("../../distribution/_build/otelcol-infra")
	require.NoError(t, err)
	if _, err := os.Stat(binary); testing.Short() || err != nil {
		t.Skip("needs the built collector; run make build, and without -short")
	}
	validate := exec.CommandContext(t.Context(), binary, "validate", "--config=../../collector-config.yaml")
	for name, value := range load(t).Services["collector"].Environment {
		require.NotNil(t, value, name)
		validate.Env = append(validate.Env, name+"="+*value)
	}
	output, err := validate.CombinedOutput()
	require.NoError(t, err, string(output))
}

func TestTheCollectorIsGivenAddressesOfServicesOfTheProject(t *testing.T) {
	project := load(t)
	address := regexp.MustCompile(`^(?:http://)?([a-z]+):\d+$`)
	named := 0
	for name, value := range project.Services["collector"].Environment {
		if match := address.FindStringSubmatch(*value); match != nil {
			named++
			assert.Contains(t, project.Services, match[1], name)
		}
	}
	assert.Equal(t, 4, named)
}
