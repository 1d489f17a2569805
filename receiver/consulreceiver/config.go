// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/acltoken"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leaf"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/network"
)

// everyDatacenter in `datacenters` stands for all that Consul knows.
const everyDatacenter = "*"

// Config is the configuration of the receiver.
type Config struct {
	// HTTP holds `endpoint`, the URL of the Consul API (or host:port, which
	// means http), and the other settings of the HTTP client.
	HTTP confighttp.ClientConfig `mapstructure:",squash"`

	// Scrape holds `collection_interval`, the time between two collections of
	// metrics. Events and traces do not wait for it: they come from watches.
	Scrape scraperhelper.ControllerConfig `mapstructure:",squash"`

	Metrics metadata.MetricsBuilderConfig `mapstructure:",squash"`
	Events  metadata.LogsBuilderConfig    `mapstructure:",squash"`

	// Token is the ACL token. When it and TokenFile are empty, the environment
	// variables CONSUL_HTTP_TOKEN_FILE and CONSUL_HTTP_TOKEN count.
	Token configopaque.String `mapstructure:"token"`

	// TokenFile is the path of a file that holds the token. It is read at
	// every request, so a rotated token needs no restart.
	TokenFile string `mapstructure:"token_file"`

	// Datacenters are those to observe; ["*"] stands for all, and none for that
	// of the agent.
	Datacenters []string `mapstructure:"datacenters"`

	// Namespace and Partition to observe, of Consul Enterprise. When one is empty,
	// the environment variable CONSUL_NAMESPACE or CONSUL_PARTITION counts.
	Namespace string `mapstructure:"namespace"`
	Partition string `mapstructure:"partition"`

	// Consistency of reads.
	Consistency consulapi.Consistency `mapstructure:"consistency"`

	// MaxStaleness is how long ago the server that answers may have heard from the
	// leader; 0 stands for any time.
	MaxStaleness time.Duration `mapstructure:"max_staleness"`

	// Storage is the ID of a storage extension in which what lasts, such as an
	// outage, survives a restart of the collector.
	Storage *component.ID `mapstructure:"storage"`

	// EmitInitialState means that the first observation is emitted as events, too.
	EmitInitialState bool `mapstructure:"emit_initial_state"`

	Services         collect.NamesConfig  `mapstructure:"services"`
	Nodes            collect.NamesConfig  `mapstructure:"nodes"`
	Checks           health.Config        `mapstructure:"checks"`
	Catalog          collect.SwitchConfig `mapstructure:"catalog"`
	Cluster          collect.SwitchConfig `mapstructure:"cluster"`
	Members          collect.LimitConfig  `mapstructure:"members"`
	Coordinates      network.Config       `mapstructure:"coordinates"`
	Sessions         collect.LimitConfig  `mapstructure:"sessions"`
	KV               kv.Config            `mapstructure:"kv"`
	UserEvents       collect.SwitchConfig `mapstructure:"user_events"`
	ConfigEntries    collect.LimitConfig  `mapstructure:"config_entries"`
	Certificates     collect.SwitchConfig `mapstructure:"certificates"`
	ACLToken         acltoken.Config      `mapstructure:"acl_token"`
	License          collect.SwitchConfig `mapstructure:"license"`
	Peerings         collect.LimitConfig  `mapstructure:"peerings"`
	LeafCertificates leaf.Config          `mapstructure:"leaf_certificates"`
}

// Unmarshal reads the configuration. A list may be one string, separated by
// commas, as an environment variable gives it.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if conf.IsSet("agent_telemetry") {
		return errors.New("agent_telemetry is no longer a setting: remove it, and scrape the agent with the prometheus receiver, see docs/guides/consul-metrics.md")
	}
	if err := configcheck.Unmarshal(conf, c); err != nil {
		return err
	}
	for _, list := range [][]string{c.KV.Prefixes, c.Datacenters, c.LeafCertificates.Services} {
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
	}
	return nil
}

// Validate checks what can be checked without a server.
func (c *Config) Validate() error {
	errs := []error{
		configcheck.URL("endpoint", c.endpoint(), "http://127.0.0.1:8500"),
		configcheck.Duration("collection_interval", c.Scrape.CollectionInterval, "10s"),
		configcheck.Timeout("timeout", c.HTTP.Timeout, "5s"),
		configcheck.Timeout("max_staleness", c.MaxStaleness, "1m, or 0 for no limit"),
		c.token().Validate(),
		c.validateConsistency(),
		c.Services.Validate("services"),
		c.Nodes.Validate("nodes"),
		c.KV.Validate("kv"),
		c.LeafCertificates.Validate(),
		configcheck.Duration("acl_token::expiry_warning", c.ACLToken.ExpiryWarning, "24h"),
	}
	for key, value := range map[string]int{
		"services::limit":       c.Services.Limit,
		"nodes::limit":          c.Nodes.Limit,
		"checks::limit":         c.Checks.Limit,
		"checks::states_limit":  c.Checks.StatesLimit,
		"members::limit":        c.Members.Limit,
		"coordinates::sample":   c.Coordinates.Sample,
		"sessions::limit":       c.Sessions.Limit,
		"kv::limit":             c.KV.Limit,
		"peerings::limit":       c.Peerings.Limit,
		"config_entries::limit": c.ConfigEntries.Limit,
	} {
		errs = append(errs, configcheck.Positive(key, value))
	}
	if c.Checks.OutputLimit < 0 {
		errs = append(errs, fmt.Errorf("checks::output_limit is %d: set it to a number of bytes, or to 0 to leave it out", c.Checks.OutputLimit))
	}
	return errors.Join(append(errs, c.validateDatacenters(), c.KV.ValidatePrefixes())...)
}

func (c *Config) validateDatacenters() error {
	if len(c.Datacenters) > maxDatacenters {
		return fmt.Errorf("datacenters lists %d: list at most %d, and observe the others over another agent", len(c.Datacenters), maxDatacenters)
	}
	if c.namespace() == "*" || c.partition() == "*" {
		return errors.New("namespace or partition is \"*\": name one, and observe others with a receiver of their own")
	}
	for i, dc := range c.Datacenters {
		if dc == "" || dc == everyDatacenter && len(c.Datacenters) > 1 || slices.Contains(c.Datacenters[:i], dc) {
			return fmt.Errorf("datacenters[%d] is %q: list names of datacenters, each once, or only %q for all", i, dc, everyDatacenter)
		}
	}
	return nil
}

func (c *Config) validateConsistency() error {
	if known := []consulapi.Consistency{consulapi.Stale, consulapi.DefaultConsistent, consulapi.Consistent}; !slices.Contains(known, c.Consistency) {
		return fmt.Errorf("consistency is %q: set it to stale, default or consistent", c.Consistency)
	}
	return nil
}

// endpoint returns the URL of the API. As in CONSUL_HTTP_ADDR, the scheme may
// be left out and is then http.
func (c *Config) endpoint() string { return address.WithScheme(c.HTTP.Endpoint) }

func (c *Config) token() tokenfile.Source {
	return tokenfile.Source{Token: c.Token, File: c.TokenFile}
}

// tokenOrEnvironment returns the configured token, or that of the environment.
func (c *Config) tokenOrEnvironment() tokenfile.Source {
	if token := c.token(); token != (tokenfile.Source{}) {
		return token
	}
	return consulapi.TokenOfEnvironment()
}

func (c *Config) namespace() string { return cmp.Or(c.Namespace, consulapi.NamespaceOfEnvironment()) }

func (c *Config) partition() string { return cmp.Or(c.Partition, consulapi.PartitionOfEnvironment()) }

func (c *Config) apiOptions() consulapi.Options {
	return consulapi.Options{
		HTTP: c.HTTP, Endpoint: c.endpoint(), Token: c.tokenOrEnvironment(),
		Namespace: c.namespace(), Partition: c.partition(), Consistency: c.Consistency,
		MaxStaleness: c.MaxStaleness,
	}
}

func defaultConfig() *Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://127.0.0.1:8500"
	client.Timeout = consulapi.DefaultTimeout
	scrape := scraperhelper.NewDefaultControllerConfig()
	scrape.CollectionInterval = 10 * time.Second
	scrape.Timeout = consulapi.DefaultTimeout // the same key as the client's
	return &Config{
		HTTP:          client,
		Scrape:        scrape,
		Metrics:       metadata.NewDefaultMetricsBuilderConfig(),
		Events:        metadata.DefaultLogsBuilderConfig(),
		Consistency:   consulapi.Stale,
		MaxStaleness:  consulapi.DefaultMaxStaleness,
		Services:      collect.NamesConfig{Limit: 5_000},
		Nodes:         collect.NamesConfig{Limit: 10_000},
		Checks:        health.Config{LimitConfig: collect.LimitConfig{Enabled: true, Limit: 100_000}, StatesLimit: 10_000},
		Catalog:       collect.SwitchConfig{Enabled: true},
		Cluster:       collect.SwitchConfig{Enabled: true},
		Members:       collect.LimitConfig{Enabled: true, Limit: 10_000},
		Coordinates:   network.Config{Enabled: true, Sample: 1_000},
		Sessions:      collect.LimitConfig{Enabled: true, Limit: 10_000},
		KV:            kv.Config{Limit: 10_000},
		UserEvents:    collect.SwitchConfig{Enabled: true},
		ConfigEntries: collect.LimitConfig{Enabled: true, Limit: 10_000},
		Certificates:  collect.SwitchConfig{Enabled: true},
		ACLToken:      acltoken.Config{Enabled: true, ExpiryWarning: 24 * time.Hour},
		License:       collect.SwitchConfig{Enabled: true},
		Peerings:      collect.LimitConfig{Enabled: true, Limit: 100},
	}
}
