// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	agentFile   = "config/agent.yaml"
	gatewayFile = "config/gateway.yaml"
)

// additionsTo returns the files that are made to be read after another one: agent-*.yaml after agent.yaml.
func additionsTo(t *testing.T, file string) []string {
	t.Helper()
	additions, err := filepath.Glob(strings.TrimSuffix(file, ".yaml") + "-*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, additions, file)
	return additions
}

// shipped are all configurations.
func shipped(t *testing.T) []string {
	t.Helper()
	return slices.Concat([]string{"../collector-config.yaml", "events-otlp.yaml", agentFile, gatewayFile},
		additionsTo(t, agentFile), additionsTo(t, gatewayFile))
}

type collectorConfig struct {
	Receivers  map[string]map[string]any `yaml:"receivers"`
	Processors map[string]struct {
		MetricStatements []string `yaml:"metric_statements"`
	} `yaml:"processors"`
	Exporters map[string]exporterConfig `yaml:"exporters"`
	Service   struct {
		Pipelines map[string]struct {
			Receivers, Processors, Exporters []string
		} `yaml:"pipelines"`
	} `yaml:"service"`
}

type exporterConfig struct {
	Timeout time.Duration `yaml:"timeout"`
	Retry   struct {
		MaxElapsed *string `yaml:"max_elapsed_time"`
	} `yaml:"retry_on_failure"`
	Queue    map[string]any `yaml:"sending_queue"`
	Protocol struct {
		OTLP *exporterConfig `yaml:"otlp"` // of load_balancing
	} `yaml:"protocol"`
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
		"../collector-config.yaml":        {"otlp_grpc/jaeger"},
		"events-otlp.yaml":                {"otlp_http/events"},
		agentFile:                         {"otlp_grpc/gateway"},
		gatewayFile:                       {"load_balancing/traces", "otlp_grpc/jaeger"},
		"config/gateway-events-otlp.yaml": {"otlp_http/events"},
	} {
		c := readConfig(t, file)
		var sending []string
		for name, exporter := range c.Exporters {
			if !strings.HasPrefix(name, "otlp") && !strings.HasPrefix(name, "load_balancing") || strings.HasSuffix(name, "/metrics") {
				continue // metrics that are late are not of now any more
			}
			sending = append(sending, name)
			require.NotNil(t, exporter.Retry.MaxElapsed, name)
			assert.Equal(t, "0", *exporter.Retry.MaxElapsed, "%s retries without end", name)
			assert.Equal(t, "file_storage", exporter.Queue["storage"], name)
			assert.Equal(t, "bytes", exporter.Queue["sizer"], name)
			assert.Equal(t, false, exporter.Queue["block_on_overflow"], "%s: blocked requests keep the collector from ending", name)
			assert.Equal(t, "${env:QUEUE_SIZE:-268435456}", exporter.Queue["queue_size"], name)
		}
		assert.ElementsMatch(t, exporters, sending, file)
	}
}

// load_balancing serves the gateways of a request one after the other. When its own timeout ends before the retries
// of one that is away, the next ones get nothing in that time.
func TestAGatewayThatIsAwayLeavesTimeForTheOthers(t *testing.T) {
	exporter := readConfig(t, gatewayFile).Exporters["load_balancing/traces"]
	retries, err := time.ParseDuration(*exporter.Protocol.OTLP.Retry.MaxElapsed)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, exporter.Timeout, retries+5*time.Second)
}

// Metrics that could not be sent for long are dropped, before the exporter to Prometheus
// forgets those that came before them.
func TestLateMetricsAreDropped(t *testing.T) {
	for file, metrics := range map[string]string{agentFile: "otlp_grpc/metrics", gatewayFile: "load_balancing/metrics"} {
		exporter := readConfig(t, file).Exporters[metrics]
		if exporter.Protocol.OTLP != nil {
			exporter = *exporter.Protocol.OTLP
		}
		require.NotNil(t, exporter.Retry.MaxElapsed, metrics)
		assert.Equal(t, "30s", *exporter.Retry.MaxElapsed, metrics)
		assert.NotContains(t, exporter.Queue, "storage", metrics)
	}
}

// The agent and the gateway do not speak with anybody who has no certificate.
func TestTransportIsMutualTLS(t *testing.T) {
	for file, want := range map[string]int{agentFile: 2, gatewayFile: 5} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var c any
		require.NoError(t, yaml.Unmarshal(content, &c))
		found := 0
		for path, settings := range tlsOf("", c) {
			if path == "exporters otlp_grpc/jaeger" {
				continue // of the user
			}
			found++
			assert.Equal(t, "1.3", settings["min_version"], path)
			assert.Equal(t, "${env:TLS_CERT_FILE:-/etc/otelcol-infra/tls/tls.crt}", settings["cert_file"], path)
			assert.Equal(t, "${env:TLS_KEY_FILE:-/etc/otelcol-infra/tls/tls.key}", settings["key_file"], path)
			ca := "ca_file"
			if strings.HasPrefix(path, "receivers") {
				ca = "client_ca_file"
			}
			assert.Equal(t, "${env:TLS_CA_FILE:-/etc/otelcol-infra/tls/ca.crt}", settings[ca], path)
			assert.Contains(t, settings, "reload_interval", path)
			assert.NotContains(t, settings, "insecure", path)
			assert.NotContains(t, settings, "insecure_skip_verify", path)
		}
		assert.Equal(t, want, found, file)
	}
}

// tlsOf returns each block tls by where it is.
func tlsOf(path string, node any) map[string]map[string]any {
	all := map[string]map[string]any{}
	fields, _ := node.(map[string]any)
	for key, value := range fields {
		if settings, ok := value.(map[string]any); ok && key == "tls" {
			all[path] = settings
			continue
		}
		maps.Copy(all, tlsOf(strings.TrimSpace(path+" "+key), value))
	}
	return all
}

// An addition has pipelines of its own, as a list in it would replace that of another file.
// Only those of Vault are the same in two files.
func TestAdditionsDoNotReplaceEachOther(t *testing.T) {
	for _, base := range []string{agentFile, gatewayFile} {
		has := map[string]any{}
		for _, file := range append([]string{base}, additionsTo(t, base)...) {
			for name, pipeline := range readConfig(t, file).Service.Pipelines {
				if before, ok := has[name]; ok {
					assert.Contains(t, name, "/vault", file)
					assert.Equal(t, before, any(pipeline), "%s in %s", name, file)
				}
				has[name] = pipeline
			}
		}
	}
}

// Spans of tail_sampling lead to no exemplar before they are kept, and what is of receivers is routed around it.
func TestTheGatewaySamplesBeforeExemplars(t *testing.T) {
	pipelines := readConfig(t, gatewayFile).Service.Pipelines
	// Then batch: otherwise each trace would be written to the disk for itself.
	assert.Equal(t, []string{"memory_limiter", "tail_sampling", "exemplar", "batch"}, pipelines["traces/sampled"].Processors)
	for name, pipeline := range pipelines {
		if name != "traces/sampled" {
			assert.NotContains(t, pipeline.Processors, "tail_sampling", name)
		}
	}
}

// The gateway treats metrics as the default configuration does.
func TestTheGatewayIsAsTheDefault(t *testing.T) {
	standalone, gateway := readConfig(t, "../collector-config.yaml"), readConfig(t, gatewayFile)
	for _, processor := range []string{"transform/cluster", "transform/description"} {
		assert.Equal(t, standalone.Processors[processor], gateway.Processors[processor], processor)
	}
}

func TestReceiversKeepTheirState(t *testing.T) {
	kept := map[string]int{}
	for _, file := range shipped(t) {
		for name, receiver := range readConfig(t, file).Receivers {
			if slices.Contains([]string{"consul", "etcd", "vault"}, name) {
				assert.Equal(t, "file_storage", receiver["storage"], "%s of %s", name, file)
				kept[name]++
			}
		}
	}
	assert.Equal(t, map[string]int{"consul": 2, "etcd": 2, "vault": 3}, kept)
}

// Every pipeline is limited in its memory, first of all or before the connector that it is behind, and none exports to the console.
func TestPipelines(t *testing.T) {
	for _, file := range shipped(t) {
		for name, pipeline := range readConfig(t, file).Service.Pipelines {
			if !strings.HasPrefix(pipeline.Receivers[0], "routing/") {
				require.NotEmpty(t, pipeline.Processors, name)
				assert.Equal(t, "memory_limiter", pipeline.Processors[0], name)
			}
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
		"linux/otelcol-infra.env": "by default %s standalone",
		"linux/launch.sh":         "${MEMORY_LIMIT_MIB:=%s}",
	} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(content), fmt.Sprintf(line, match[1]), file)
	}
}

// Each variable of the shipped configurations is in their documentation. What the agent
// and the gateway have in common with the default configuration is in the README alone.
func TestDocumentationListsEachVariable(t *testing.T) {
	read := func(file string) string {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(content)
	}
	readme := read("../README.md") + read("../docs/install.md")
	for _, file := range shipped(t) {
		listed := []string{readme}
		for _, kind := range []string{"agent", "gateway"} {
			if strings.HasPrefix(file, "config/"+kind) {
				listed = append(listed, read("../docs/guides/"+kind+".md"))
			}
		}
		for _, match := range regexp.MustCompile(`\$\{env:([A-Z0-9_]+)`).FindAllStringSubmatch(read(file), -1) {
			assert.True(t, slices.ContainsFunc(listed, func(page string) bool { return strings.Contains(page, match[1]) }), "%s of %s", match[1], file)
		}
	}
}
