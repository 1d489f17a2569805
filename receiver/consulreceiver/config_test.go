// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

func TestDefaultConfigIsValid(t *testing.T) {
	require.NoError(t, xconfmap.Validate(NewFactory().CreateDefaultConfig()))
}

func TestAnEndpointWithoutASchemeIsHTTP(t *testing.T) {
	cfg := defaultConfig()
	cfg.HTTP.Endpoint = "localhost:8500"
	require.NoError(t, xconfmap.Validate(cfg))
	assert.Equal(t, "http://localhost:8500", cfg.endpoint())
}

func TestConfig(t *testing.T) {
	for file, wantErr := range map[string]string{
		"full.yaml":                                 "",
		"typo.yaml":                                 "has invalid keys: endpiont",
		"bad duration.yaml":                         "'collection_interval' time: invalid duration (write durations like 10s or 1m30s; the component's README lists its keys)",
		"empty endpoint.yaml":                       "endpoint is empty: set it to a URL such as http://127.0.0.1:8500",
		"wrong scheme.yaml":                         "endpoint is not an http or https URL: write it like http://127.0.0.1:8500",
		"no token file.yaml":                        "token_file cannot be read, check its path and permissions: open testdata/config/absent: no such file or directory",
		"no unit.yaml":                              "collection_interval is 30ns: write a duration with a unit, such as 10s",
		"two tokens.yaml":                           "token and token_file are both set: keep one of them",
		"wrong consistency.yaml":                    `consistency is "strong": set it to stale, default or consistent`,
		"overlapping prefixes.yaml":                 `kv::prefixes[2] "locks/jobs/" is a part of "locks/": remove one of them`,
		"all datacenters and one.yaml":              `datacenters[0] is "*": list names of datacenters, each once, or only "*" for all`,
		"a slash.yaml":                              `kv::prefixes[0] "/locks/" begins with a slash`,
		"a glob.yaml":                               `services::include[0] "*web" is a regular expression, not a glob`,
		"negative output.yaml":                      "checks::output_limit is -1: set it to a number of bytes, or to 0 to leave it out",
		"no expiry warning.yaml":                    "acl_token::expiry_warning is 30ns: write a duration with a unit, such as 24h",
		"no checks.yaml":                            "checks::limit is 0: set it to a number above 0",
		"the agent's own metrics.yaml":              "agent_telemetry is no longer a setting: remove it, and scrape the agent with the prometheus receiver, see docs/guides/consul-metrics.md",
		"a leaf certificate without a service.yaml": `leaf_certificates::services[1] is "": list names of services, each once`,
		"a leaf certificate of any service.yaml":    `leaf_certificates::services[0] is "*": list names of services, each once`,
	} {
		t.Run(file, func(t *testing.T) {
			conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config", file))
			require.NoError(t, err)
			cfg := defaultConfig()
			err = conf.Unmarshal(cfg)
			if err == nil {
				err = xconfmap.Validate(cfg)
			}
			if wantErr != "" {
				require.ErrorContains(t, err, wantErr)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "https://consul.example:8501", cfg.HTTP.Endpoint)
			assert.Equal(t, 3*time.Second, cfg.HTTP.Timeout)
			assert.Equal(t, 30*time.Second, cfg.Scrape.CollectionInterval)
			assert.Equal(t, []string{"dc1", "dc2"}, cfg.Datacenters)
			assert.Equal(t, "team east", cfg.Namespace+" "+cfg.Partition)
			assert.Equal(t, consulapi.Consistent, cfg.Consistency)
			assert.Equal(t, "file_storage", cfg.Storage.String())
			assert.True(t, cfg.EmitInitialState)
			assert.Equal(t, collect.NamesConfig{Filter: pattern.Filter{Include: []string{"web.*"}, Exclude: []string{"web-old"}}, Limit: 10}, cfg.Services)
			assert.Equal(t, health.Config{LimitConfig: collect.LimitConfig{Enabled: true, Limit: 500}, OutputLimit: 64, SidecarIncidents: true, StatesLimit: 50}, cfg.Checks)
			assert.False(t, cfg.Catalog.Enabled)
			assert.Equal(t, []string{"locks/", "config/"}, cfg.KV.Prefixes)
			assert.Equal(t, time.Hour, cfg.ACLToken.ExpiryWarning)
			assert.False(t, cfg.Events.Events.ConsulCheckTransition.Enabled)
			assert.False(t, cfg.Metrics.Metrics.ConsulUp.Enabled)
			assert.Equal(t, "[REDACTED]", cfg.Token.String())
		})
	}
}
