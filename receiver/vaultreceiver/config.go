// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// defaultTimeout is how long a request may take.
const defaultTimeout = 5 * time.Second

// Config is the configuration of the receiver.
type Config struct {
	// HTTP holds `endpoint`, the URL of the Vault API, and the other settings
	// of the HTTP client.
	HTTP confighttp.ClientConfig `mapstructure:",squash"`

	// Scrape holds `collection_interval`, the time between two collections of
	// metrics. The state of the server is polled each second, if that is shorter.
	Scrape scraperhelper.ControllerConfig `mapstructure:",squash"`

	Metrics metadata.MetricsBuilderConfig `mapstructure:",squash"`
	Events  metadata.LogsBuilderConfig    `mapstructure:",squash"`

	// Token is needed for the numbers of leases only. It, TokenFile, AppRole and
	// Kubernetes are ways to a token, of which one is set; when none is, the
	// environment variable VAULT_TOKEN counts.
	Token configopaque.String `mapstructure:"token"`

	// TokenFile is the path of a file that holds the token. It is read at
	// every request, so a rotated token needs no restart.
	TokenFile string `mapstructure:"token_file"`

	// AppRole and Kubernetes log in, renew the token that they get, and log in
	// anew when it can be renewed no longer or is denied.
	AppRole    *AppRoleConfig    `mapstructure:"approle"`
	Kubernetes *KubernetesConfig `mapstructure:"kubernetes"`

	// OwnToken is what is told of the token, however it was come by.
	OwnToken OwnTokenConfig `mapstructure:"own_token"`

	// Namespace is the one that the token belongs to.
	Namespace string `mapstructure:"namespace"`

	// Storage is the ID of a storage extension in which sealed and leaderless
	// times, and the peers of the raft cluster, survive a restart of the collector.
	Storage *component.ID `mapstructure:"storage"`

	Raft RaftConfig `mapstructure:"raft"`

	// What else Vault keeps, each with a pace of its own.
	Leases           LeasesConfig `mapstructure:"leases"`
	Tokens           TokensConfig `mapstructure:"tokens"`
	PKI              PKIConfig    `mapstructure:"pki"`
	Mounts           DomainConfig `mapstructure:"mounts"` // and auth methods
	Policies         DomainConfig `mapstructure:"policies"`
	AuditDevices     DomainConfig `mapstructure:"audit_devices"`
	Quotas           DomainConfig `mapstructure:"quotas"`
	LockedUsers      DomainConfig `mapstructure:"locked_users"`
	InFlightRequests DomainConfig `mapstructure:"in_flight_requests"`
	Clients          DomainConfig `mapstructure:"clients"` // and entities

	// Audit makes spans of what Vault's audit devices send.
	Audit AuditConfig `mapstructure:"audit"`

	// ScrapeServerMetrics takes over metrics that Vault has of its own, a
	// selection of sys/metrics.
	ScrapeServerMetrics bool `mapstructure:"scrape_server_metrics"`
}

// RaftConfig is of the raft cluster, where that is the storage of Vault.
type RaftConfig struct {
	// Enabled asks for its servers, and how autopilot finds them.
	Enabled bool `mapstructure:"enabled"`
}

// Unmarshal reads the configuration.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := configcheck.Unmarshal(conf, c); err != nil {
		return err
	}
	for _, list := range [][]string{c.Leases.Prefixes, c.PKI.Mounts} { // They may come from one variable, with commas.
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
	}
	return nil
}

// Validate checks what can be checked without a server.
func (c *Config) Validate() error {
	return errors.Join(
		configcheck.URL("endpoint", c.HTTP.Endpoint, "http://127.0.0.1:8200"),
		configcheck.Duration("collection_interval", c.Scrape.CollectionInterval, "10s"),
		configcheck.Timeout("timeout", c.HTTP.Timeout, "5s"),
		c.validateLogin(),
		c.OwnToken.check(),
		c.checkDomains(),
		c.Audit.check(),
	)
}

func (c *Config) token() tokenfile.Source {
	return tokenfile.Source{Token: c.Token, File: c.TokenFile}
}

func defaultConfig() *Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://127.0.0.1:8200"
	client.Timeout = defaultTimeout
	scrape := scraperhelper.NewDefaultControllerConfig()
	scrape.CollectionInterval = 10 * time.Second
	scrape.Timeout = defaultTimeout // the same key as the client's
	cfg := &Config{
		HTTP:     client,
		Scrape:   scrape,
		Raft:     RaftConfig{Enabled: true},
		Metrics:  metadata.NewDefaultMetricsBuilderConfig(),
		Events:   metadata.DefaultLogsBuilderConfig(),
		OwnToken: OwnTokenConfig{Enabled: true, ExpiryWarning: 24 * time.Hour},
	}
	cfg.setDomains()
	cfg.Audit = defaultAudit()
	return cfg
}
