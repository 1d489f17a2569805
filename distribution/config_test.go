// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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

// The Makefile and the packages set the limit that the configuration has by default.
func TestTheMemoryLimitIsTheSameEverywhere(t *testing.T) {
	content, err := os.ReadFile("../collector-config.yaml")
	require.NoError(t, err)
	match := regexp.MustCompile(`\$\{env:MEMORY_LIMIT_MIB:-(\d+)\}`).FindSubmatch(content)
	require.NotNil(t, match)
	for file, line := range map[string]string{
		"../Makefile":             "MEMORY_LIMIT_MIB ?= %s\n",
		"linux/otelcol-infra.env": "MEMORY_LIMIT_MIB=\"%s\"\n",
		"linux/launch.sh":         "${MEMORY_LIMIT_MIB:=%s}",
	} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(content), fmt.Sprintf(line, match[1]), file)
	}
}

// Each variable of the shipped configurations is in the README, or in the docs of who installs a package.
func TestTheReadmeListsEachVariable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	install, err := os.ReadFile("../docs/install.md")
	require.NoError(t, err)
	readme = append(readme, install...)
	for _, file := range []string{"../collector-config.yaml", "events-otlp.yaml"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`\$\{env:([A-Z0-9_]+)`).FindAllSubmatch(content, -1) {
			assert.Contains(t, string(readme), string(match[1]), "%s of %s", match[1], file)
		}
	}
}
