// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/confignet"
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
		"bad duration.yaml":   "'collection_interval' time: unknown unit (write durations like 10s or 1m30s; the component's README lists its keys)",
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
			assert.True(t, cfg.ScrapeServerMetrics)
			assert.Equal(t, DomainConfig{Enabled: true, Interval: 2 * time.Minute}, cfg.Quotas)
			assert.False(t, cfg.Metrics.Metrics.VaultUp.Enabled)
			assert.False(t, cfg.Events.Events.VaultSealed.Enabled)
			assert.Equal(t, "[REDACTED]", cfg.Token.String())
		})
	}
}

func load(t *testing.T, file string) (*Config, error) {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config", file))
	require.NoError(t, err)
	cfg := defaultConfig()
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, xconfmap.Validate(cfg)
}

func TestConfigOfLeases(t *testing.T) {
	for file, wantErr := range map[string][]string{
		"leases that overlap.yaml": {"of which one is within the other: leave out the longer one"},
		"leases of nothing.yaml": {
			"leases::prefixes[0] is empty: name the beginning of the IDs of leases, such as database/creds",
			"leases::prefixes[1] is empty",
			"leases::requests_per_second is 0: set it to more than 0, such as 10",
		},
	} {
		t.Run(file, func(t *testing.T) {
			_, err := load(t, file)
			for _, want := range wantErr {
				require.ErrorContains(t, err, want)
			}
		})
	}
	cfg, err := load(t, "leases.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{"database/creds", "database/cred", "auth/userpass"}, cfg.Leases.Prefixes)
	assert.True(t, cfg.Leases.FullIDs)
	assert.Equal(t, FollowConfig{Interval: time.Minute, RequestsPerSecond: 10, Limit: 20000, ExpiryWarning: time.Hour}, cfg.Leases.FollowConfig)
}

func TestConfigOfAuditFiles(t *testing.T) {
	for file, wantErr := range map[string][]string{
		"audit file of nothing.yaml": {
			"audit::file::include is empty: set it to the files that vault's audit device writes, such as [/var/log/vault/audit.log*]",
			`audit::file::start_at is "middle"`,
			"audit::file::poll_interval is 0s: write a duration with a unit, such as 200ms",
		},
		"audit file pattern.yaml": {"audit::file is of files that cannot be looked for, check the patterns: include: "},
	} {
		t.Run(file, func(t *testing.T) {
			_, err := load(t, file)
			for _, want := range wantErr {
				require.ErrorContains(t, err, want)
			}
		})
	}
	cfg, err := load(t, "audit file.yaml")
	require.NoError(t, err)
	assert.True(t, cfg.Audit.enabled())
	assert.False(t, cfg.Audit.Socket.HasValue())
	assert.Equal(t, &FileConfig{
		Include: []string{"/var/log/vault/audit.log*"}, Exclude: []string{"/var/log/vault/audit.log*.gz"},
		StartAt: "beginning", PollInterval: 200 * time.Millisecond,
	}, cfg.Audit.File.Get())
}

func TestConfigOfALogin(t *testing.T) {
	for file, wantErr := range map[string][]string{
		"two ways.yaml":   {"token and approle are both set: keep one of them"},
		"three ways.yaml": {"token, approle, kubernetes are all set: keep one of them"},
		"empty approle.yaml": {
			"approle::role_id is empty: set it to the role ID of the receiver's role",
			"approle::secret_id is empty: set it, or approle::secret_id_file",
		},
		"two secret ids.yaml":    {"approle::secret_id and approle::secret_id_file are both set: keep one of them"},
		"no secret id file.yaml": {"approle::secret_id_file cannot be read, check its path and permissions: open testdata/config/absent"},
		"auth in mount.yaml":     {"approle::mount begins with auth/: write only what follows"},
		"empty kubernetes.yaml": {
			"kubernetes::role is empty: set it to the name of the receiver's role in vault",
			"kubernetes::jwt_file cannot be read, check its path and permissions: open testdata/config/absent",
		},
		"typo in kubernetes.yaml":     {"has invalid keys: secret_id"},
		"no unit of the warning.yaml": {"own_token::expiry_warning is 24ns: write a duration with a unit, such as 24h"},
	} {
		t.Run(file, func(t *testing.T) {
			_, err := load(t, file)
			for _, want := range wantErr {
				require.ErrorContains(t, err, want)
			}
		})
	}
	for file, want := range map[string]struct{ source, endpoint string }{
		"full.yaml":       {"token", ""},
		"approle.yaml":    {"approle", "auth/other/approle/login"},
		"kubernetes.yaml": {"kubernetes", "auth/cluster-1/login"},
	} {
		t.Run(file, func(t *testing.T) {
			cfg, err := load(t, file)
			require.NoError(t, err)
			source, _ := cfg.source()
			assert.Equal(t, want.source, source.String())
			if method := cfg.method(); want.endpoint == "" {
				assert.Nil(t, method)
			} else {
				assert.Equal(t, want.endpoint, method.endpoint)
			}
		})
	}
}

func TestTheMountsOfLoginsHaveDefaults(t *testing.T) {
	assert.Equal(t, "auth/approle/login", (&AppRoleConfig{}).method().endpoint)
	assert.Equal(t, "auth/kubernetes/login", (&KubernetesConfig{}).method().endpoint)
	assert.Equal(t, serviceAccountToken, (&KubernetesConfig{}).jwt().File)
}

func TestConfigOfTheAuditStream(t *testing.T) {
	cfg, err := load(t, "audit.yaml")
	require.NoError(t, err)
	assert.True(t, cfg.Audit.enabled())
	assert.Equal(t, "127.0.0.1:9200", cfg.Audit.Socket.Get().Endpoint)
	assert.Equal(t, 100, cfg.Audit.Socket.Get().Connections)
	assert.Equal(t, "secret/*/x", cfg.Audit.redact()("secret/app/x"))
	assert.Equal(t, []string{"common_name", "serial_number"}, cfg.Audit.Data)
	assert.False(t, defaultConfig().Audit.enabled())
	assert.Empty(t, defaultConfig().Audit.Data)

	_, err = load(t, "wrong audit.yaml")
	for _, want := range []string{
		`audit::socket::transport is "udp": set it to tcp or unix`,
		"audit::socket::connections is 0",
		"audit::redact[1] is not a regular expression",
		`audit::trust is "maybe": set it to one of parent, link, ignore`,
		"audit::data[1] is empty: set it to the name of a field of data, such as common_name",
		`audit::data[2] is "common_name", which is there already: leave it out`,
		"audit::wait is 30ns: write a duration with a unit, such as 2m",
		"audit::queue is -1",
		"audit::longest_line is 0",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestMistakesOfTheSocketAndTheQueueAreNamed(t *testing.T) {
	for _, tc := range []struct {
		transport confignet.TransportType
		endpoint  string
		want      string // empty: it is none
	}{
		{"tcp", "127.0.0.1:9200", ""},
		{"unix", "/run/audit.sock", ""},
		{"unix", "@abstract", ""},
		{"unix", "", ""},
		{"unix", "127.0.0.1:9200", `audit::socket::endpoint is "127.0.0.1:9200": set it to the whole path of a socket`},
		{"tcp", "", ""},
		{"tcp", "127.0.0.1", `audit::socket::endpoint is "127.0.0.1", which is no address with a port: write it like 127.0.0.1:9200`},
		{"unix", "audit.sock", `audit::socket::endpoint is "audit.sock": set it to the whole path of a socket`},
		{"tcp", "/run/audit.sock", `audit::socket::endpoint is "/run/audit.sock": set it to an address such as 127.0.0.1:9200`},
	} {
		cfg := defaultAudit()
		socket := cfg.Socket.GetOrInsertDefault()
		socket.Transport, socket.Endpoint = tc.transport, tc.endpoint
		if err := cfg.check(); tc.want == "" {
			require.NoError(t, err, tc.endpoint)
		} else {
			require.ErrorContains(t, err, tc.want)
		}
	}
	cfg := defaultAudit()
	cfg.Socket.GetOrInsertDefault().Endpoint = "127.0.0.1:9200"
	cfg.Queue = 10_000_000
	require.ErrorContains(t, cfg.check(), "audit::queue is 10000000: set it to at most 1000000")

	cfg.Queue = longestQueue
	cfg.LongestLine = math.MaxInt
	require.ErrorContains(t, cfg.check(), "audit::longest_line is 9223372036854775807: set it to at most 1073741824")
	cfg.LongestLine = longestLine
	for i := range mostOfData {
		cfg.Data = append(cfg.Data, strings.Repeat("x", longestOfData-i))
	}
	require.NoError(t, cfg.check())
	cfg.Data = append(cfg.Data, strings.Repeat("y", longestOfData+1))
	require.ErrorContains(t, cfg.check(), "audit::data has 21 names: leave at most 20")
	require.ErrorContains(t, cfg.check(), "audit::data[20] has 101 bytes: set it to a name of at most 100")
}

func TestConfigOfPostedAudit(t *testing.T) {
	cfg, err := load(t, "audit http.yaml")
	require.NoError(t, err)
	assert.True(t, cfg.Audit.enabled())
	assert.True(t, cfg.Audit.serves())
	assert.False(t, cfg.Audit.listens())
	server := cfg.Audit.HTTP.Get()
	assert.Equal(t, "127.0.0.1:9201", server.NetAddr.Endpoint)
	assert.True(t, server.TLS.HasValue())
	assert.Equal(t, "bearertokenauth", server.Auth.Get().AuthenticatorID.String())
	assert.Equal(t, 100, server.Connections)
	assert.Equal(t, []time.Duration{10 * time.Second, 10 * time.Second, 30 * time.Second, 5 * time.Minute},
		[]time.Duration{server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout})
	assert.Equal(t, []string{"", "gzip"}, server.CompressionAlgorithms)
	defaults := defaultAudit()
	assert.Greater(t, defaults.HTTP.GetOrInsertDefault().IdleTimeout, http.DefaultTransport.(*http.Transport).IdleConnTimeout,
		"the client ends what is idle")

	server.NetAddr.Endpoint = "127.0.0.1"
	require.ErrorContains(t, server.check(), `audit::http::endpoint is "127.0.0.1", which is no address with a port: write it like 127.0.0.1:9201`)

	cfg, err = load(t, "audit http from the environment.yaml")
	require.NoError(t, err)
	assert.False(t, cfg.Audit.enabled(), "the variable is not set")

	_, err = load(t, "wrong audit http.yaml")
	for _, want := range []string{
		`audit::http::transport is "unix": set it to tcp`,
		"audit::http::auth::authenticator is empty: name an extension",
		"audit::http::connections is 0",
		"audit::http::max_request_body_size is -1",
		`audit::http::compression_algorithms[1] is "snappy": set it to gzip, zlib or deflate`,
		"audit::http::read_timeout is 0s: write a duration with a unit, such as 10s",
		"audit::http::read_header_timeout is 10ns",
		"audit::http::write_timeout is 0s",
		"audit::http::idle_timeout is 0s",
	} {
		require.ErrorContains(t, err, want)
	}
}
