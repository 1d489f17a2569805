// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
)

func TestDefaultConfigIsValid(t *testing.T) {
	require.NoError(t, xconfmap.Validate(NewFactory().CreateDefaultConfig()))
}

func TestConfig(t *testing.T) {
	for file, wantErr := range map[string]string{
		"full.yaml":           "",
		"typo.yaml":           "has invalid keys: endpiont",
		"bad duration.yaml":   "'collection_interval' time: unknown unit (write durations like 10s or 1m30s; the receiver's README lists its keys)",
		"empty endpoint.yaml": "endpoint is empty: set it to a URL such as http://127.0.0.1:8200",
		"no scheme.yaml":      "endpoint is not an http or https URL: write it like http://127.0.0.1:8200",
		"no token file.yaml":  "token_file cannot be read, check its path and permissions: open testdata/config/absent: no such file or directory",
		"no unit.yaml":        "collection_interval is 30ns: write a duration with a unit, such as 10s",
		"two tokens.yaml":     "token and token_file are both set: keep one of them",
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
			assert.Equal(t, "https://vault.example:8200", cfg.HTTP.Endpoint)
			assert.Equal(t, 3*time.Second, cfg.HTTP.Timeout)
			assert.Equal(t, "vault.internal", cfg.HTTP.TLS.ServerName)
			assert.Equal(t, 30*time.Second, cfg.Scrape.CollectionInterval)
			assert.Equal(t, "team", cfg.Namespace)
			assert.Equal(t, "file_storage/vault", cfg.Storage.String())
			assert.False(t, cfg.Raft.Enabled)
			assert.False(t, cfg.Metrics.Metrics.VaultUp.Enabled)
			assert.False(t, cfg.Events.Events.VaultSealed.Enabled)
			assert.Equal(t, "[REDACTED]", cfg.Token.String())
		})
	}
}
