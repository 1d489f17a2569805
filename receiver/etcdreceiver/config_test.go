// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

func TestDefaultConfigIsValid(t *testing.T) {
	require.NoError(t, xconfmap.Validate(NewFactory().CreateDefaultConfig()))
}

func load(t *testing.T, file string) (*Config, error) {
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config", file))
	require.NoError(t, err)
	cfg := defaultConfig()
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, xconfmap.Validate(cfg)
}

func TestConfig(t *testing.T) {
	cfg, err := load(t, "full.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{"https://etcd-1.example:2379", "https://etcd-2.example:2379"}, cfg.Endpoints)
	assert.True(t, cfg.TLS.InsecureSkipVerify)
	assert.Equal(t, 2*time.Second, cfg.DialTimeout)
	assert.Equal(t, 3*time.Second, cfg.Scrape.Timeout)
	assert.Equal(t, 30*time.Second, cfg.Scrape.CollectionInterval)
	assert.Equal(t, []string{"/app/"}, cfg.Watch.Prefixes)
	assert.Equal(t, []string{"/locks/"}, cfg.Locks.Prefixes)
	assert.Equal(t, KeepaliveConfig{20 * time.Second, 4 * time.Second}, cfg.Keepalive)
	assert.Equal(t, "file_storage", cfg.Storage.String())
	assert.Equal(t, []string{"/app/.*"}, cfg.Watch.Include)
	assert.Equal(t, []string{"/app/private/.*"}, cfg.Watch.Exclude)
	assert.Equal(t, keyspace.StartRevision, cfg.Watch.Start)
	assert.EqualValues(t, 7, cfg.Watch.Revision)
	assert.Equal(t, 500, cfg.Watch.Limit)
	assert.Equal(t, 600, cfg.Watch.Queue)
	assert.True(t, cfg.Watch.PrevKV && cfg.Watch.Fingerprint)
	assert.Equal(t, []string{"/elections/"}, cfg.Elections.Prefixes)
	assert.Equal(t, lease.Config{Mode: lease.ModeAll, RequestsPerSecond: 2.5, Limit: 700}, cfg.Leases)
	assert.False(t, cfg.Events.Events.EtcdKeyPut.Enabled)
	assert.False(t, cfg.Metrics.Metrics.EtcdMemberUp.Enabled)
	assert.Equal(t, "[REDACTED]", cfg.Password.String())
	tlsConfig, err := cfg.loadTLS(t.Context())
	require.NoError(t, err)
	assert.True(t, tlsConfig.InsecureSkipVerify)

	cfg, err = load(t, "no scheme.yaml")
	require.NoError(t, err)
	assert.Equal(t, "etcd.example:2379", address.HostPort(cfg.Endpoints[1]))
	tlsConfig, err = cfg.loadTLS(t.Context())
	require.NoError(t, err)
	assert.Nil(t, tlsConfig)

	cfg, err = load(t, "from environment.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{"http://127.0.0.1:2379", "http://127.0.0.1:22379"}, cfg.Endpoints)
	assert.Empty(t, cfg.keyspace().Prefixes().Covering())

	cfg, err = load(t, "spaces in lists.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{"http://a:1", "http://b:1"}, cfg.Endpoints)
	assert.Equal(t, []string{"/app/", "/cfg/"}, cfg.Watch.Prefixes)
}

func TestConfigsThatAreRefused(t *testing.T) {
	for file, want := range map[string]string{
		"typo.yaml":                     "has invalid keys: endpionts",
		"nested typo.yaml":              "'watch' has invalid keys: prefix",
		"bad duration.yaml":             "'dial_timeout' time: unknown unit",
		"no dial timeout.yaml":          "dial_timeout is 0s: write a duration with a unit, such as 5s",
		"no unit.yaml":                  "timeout is 5ns: write a duration with a unit, such as 5s",
		"no endpoints.yaml":             "endpoints is empty: list the client URLs of the members, such as http://127.0.0.1:2379",
		"empty endpoint.yaml":           "endpoints[1] is empty: set it to a URL such as http://127.0.0.1:2379",
		"bad scheme.yaml":               "endpoints[0] is not an http or https URL: write it like http://127.0.0.1:2379",
		"no port.yaml":                  "endpoints[0] has no port: write it like http://127.0.0.1:2379",
		"user in endpoint.yaml":         "endpoints[0] holds a user name or password: remove it, there are settings for these",
		"mixed endpoints.yaml":          "endpoints are partly https: use https for all of them or for none",
		"no password.yaml":              "username is set without password or password_file: set one of them, or no username",
		"no username.yaml":              "password is set without username: set both or neither",
		"no keys.yaml":                  "watch::limit is 0: set it to a number above 0",
		"fast keepalive.yaml":           "keepalive::time is 5s: set it to 10s or more",
		"endpoint twice.yaml":           "endpoints[1] is the same as endpoints[0]: name each member once",
		"pattern as prefix.yaml":        `watch::prefixes[0] "/app/*" ends in an asterisk: a prefix is no pattern, remove it`,
		"negative revision.yaml":        "watch::revision is -5: set it to the first revision to report",
		"no revision.yaml":              "watch::start is revision without watch::revision: set it to the first revision to report",
		"revision without start.yaml":   "watch::revision is set, but watch::start is not revision",
		"unknown start.yaml":            `watch::start is "revison": set it to latest, checkpoint or revision`,
		"unknown lease mode.yaml":       `leases::mode is "every": set it to off, count, watched or all`,
		"no lease budget.yaml":          "leases::requests_per_second is not above 0",
		"two passwords.yaml":            "password and password_file are both set: keep one of them",
		"bad pattern.yaml":              "watch::include[0]",
		"no queue.yaml":                 "watch::queue is 0: set it to a number above 0",
		"the members' own metrics.yaml": "scrape_member_metrics is no longer a setting: remove it, and scrape the members with the prometheus receiver, see docs/guides/etcd-metrics.md",
		"empty watch prefix.yaml":       `watch::prefixes[1] is empty: write a prefix, or remove it; watch::prefixes: [""] is all keys`,
		"empty locks prefix.yaml":       `locks::prefixes[0] is empty: write a prefix, or remove it; watch::prefixes: [""] is all keys`,
	} {
		t.Run(file, func(t *testing.T) {
			_, err := load(t, file)
			require.ErrorContains(t, err, want)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}
