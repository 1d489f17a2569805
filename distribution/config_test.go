// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type collectorConfig struct {
	Receivers  map[string]map[string]any `yaml:"receivers"`
	Processors map[string]struct {
		MetricStatements []string `yaml:"metric_statements"`
	} `yaml:"processors"`
	Exporters map[string]struct {
		Retry struct {
			MaxElapsed *int `yaml:"max_elapsed_time"`
		} `yaml:"retry_on_failure"`
		Queue map[string]any `yaml:"sending_queue"`
	} `yaml:"exporters"`
	Service struct {
		Pipelines map[string]struct {
			Receivers, Processors, Exporters []string
		} `yaml:"pipelines"`
	} `yaml:"service"`
}

func readConfig(t *testing.T, file string) (c collectorConfig) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &c))
	return c
}

// What is sent to another server waits on disk, bounded in bytes, until that server has it.
func TestExportersOverTheNetworkLoseNothing(t *testing.T) {
	for file, exporters := range map[string][]string{
		"../collector-config.yaml": {"otlp_grpc/jaeger"},
		"events-otlp.yaml":         {"otlp_http/events"},
	} {
		c := readConfig(t, file)
		var sending []string
		for name, exporter := range c.Exporters {
			if !strings.HasPrefix(name, "otlp") {
				continue
			}
			sending = append(sending, name)
			require.NotNil(t, exporter.Retry.MaxElapsed, name)
			assert.Zero(t, *exporter.Retry.MaxElapsed, "%s retries without end", name)
			assert.Equal(t, "file_storage", exporter.Queue["storage"], name)
			assert.Equal(t, "bytes", exporter.Queue["sizer"], name)
			assert.Equal(t, false, exporter.Queue["block_on_overflow"], "%s: blocked requests keep the collector from ending", name)
			assert.Equal(t, "${env:QUEUE_SIZE:-268435456}", exporter.Queue["queue_size"], name)
		}
		assert.Equal(t, exporters, sending, file)
	}
}

func TestReceiversKeepTheirState(t *testing.T) {
	c := readConfig(t, "../collector-config.yaml")
	for _, receiver := range []string{"consul", "etcd", "vault"} {
		assert.Equal(t, "file_storage", c.Receivers[receiver]["storage"], receiver)
	}
}

// Every pipeline is limited in its memory, first of all, and none exports to the console.
func TestPipelines(t *testing.T) {
	for _, file := range []string{"../collector-config.yaml", "events-otlp.yaml"} {
		for name, pipeline := range readConfig(t, file).Service.Pipelines {
			require.NotEmpty(t, pipeline.Processors, name)
			assert.Equal(t, "memory_limiter", pipeline.Processors[0], name)
			assert.NotContains(t, pipeline.Exporters, "debug", name)
		}
	}
}

// What tells clusters apart is declared by the receivers, and becomes labels.
func TestTheIdentityOfAClusterBecomesLabels(t *testing.T) {
	var want []string
	for _, receiver := range []string{"consul", "etcd", "vault"} {
		content, err := os.ReadFile(filepath.Join("..", "receiver", receiver+"receiver", "metadata.yaml"))
		require.NoError(t, err)
		var metadata struct {
			Resource map[string]any `yaml:"resource_attributes"`
		}
		require.NoError(t, yaml.Unmarshal(content, &metadata))
		for attribute := range metadata.Resource {
			// service.* are the labels job and instance, or change with an upgrade; the name of a cluster can change.
			if !strings.HasPrefix(attribute, "service.") && attribute != "vault.cluster.name" {
				want = append(want, attribute)
			}
		}
	}
	c := readConfig(t, "../collector-config.yaml")
	copied := regexp.MustCompile(`^set\(datapoint\.attributes\["([^"]+)"\], resource\.attributes\["([^"]+)"\]\)$`)
	var got []string
	for _, statement := range c.Processors["transform/cluster"].MetricStatements {
		match := copied.FindStringSubmatch(statement)
		require.NotNil(t, match, statement)
		assert.Equal(t, match[1], match[2])
		got = append(got, match[1])
	}
	for _, attribute := range want {
		assert.Contains(t, got, attribute)
	}
	assert.Less(t, len(got), 8, "not all attributes are labels")
	assert.Equal(t, "transform/cluster", lastOf(c.Service.Pipelines["metrics"].Processors), "behind what matches metrics with spans")
}

func lastOf(all []string) string { return all[len(all)-1] }

// The unit and the Makefile set GOMEMLIMIT to four fifths of the limit that the configuration has by default.
func TestTheServiceFitsTheConfiguration(t *testing.T) {
	content, err := os.ReadFile("../collector-config.yaml")
	require.NoError(t, err)
	match := regexp.MustCompile(`\$\{env:MEMORY_LIMIT_MIB:-(\d+)\}`).FindSubmatch(content)
	require.NotNil(t, match)
	limit, err := strconv.Atoi(string(match[1]))
	require.NoError(t, err)
	content, err = os.ReadFile("otelcol-infra.service")
	require.NoError(t, err)
	unit := strings.Split(string(content), "\n")
	for _, line := range []string{
		fmt.Sprintf("Environment=MEMORY_LIMIT_MIB=%d GOMEMLIMIT=%dMiB", limit, limit*8/10),
		"StateDirectory=otelcol-infra", // passed as STATE_DIRECTORY
		"StateDirectoryMode=0700",
	} {
		assert.True(t, slices.Contains(unit, line), line)
	}
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	assert.Contains(t, string(makefile), fmt.Sprintf("MEMORY_LIMIT_MIB ?= %d\n", limit))
}

// Each variable of the shipped configurations is in the README, with its default.
func TestTheReadmeListsEachVariable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, file := range []string{"../collector-config.yaml", "events-otlp.yaml"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`\$\{env:([A-Z0-9_]+)`).FindAllSubmatch(content, -1) {
			assert.Contains(t, string(readme), string(match[1]), "%s of %s", match[1], file)
		}
	}
}

func TestTheUnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze on PATH")
	}
	unit, err := os.ReadFile("otelcol-infra.service")
	require.NoError(t, err)
	self, err := os.Executable() // The real one is not installed.
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "otelcol-infra.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(unit), "/usr/bin/otelcol-infra", self, 1)), 0o600))
	output, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput()
	require.NoError(t, err, string(output))
	assert.Empty(t, string(output))
}
