// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

const (
	// defaultTimeout is how long a request may take, beyond the time for which
	// Consul holds a blocking query.
	defaultTimeout = 5 * time.Second

	// everyDatacenter in `datacenters` stands for all that Consul knows.
	everyDatacenter = "*"
)

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
	Consistency Consistency `mapstructure:"consistency"`

	// Storage is the ID of a storage extension in which what lasts, such as an
	// outage, survives a restart of the collector.
	Storage *component.ID `mapstructure:"storage"`

	// EmitInitialState says that what is first observed is told as events, too.
	EmitInitialState bool `mapstructure:"emit_initial_state"`

	Services       NamesConfig          `mapstructure:"services"`
	Nodes          NamesConfig          `mapstructure:"nodes"`
	Checks         ChecksConfig         `mapstructure:"checks"`
	Catalog        SwitchConfig         `mapstructure:"catalog"`
	Cluster        SwitchConfig         `mapstructure:"cluster"`
	Members        LimitConfig          `mapstructure:"members"`
	Coordinates    CoordinatesConfig    `mapstructure:"coordinates"`
	Sessions       LimitConfig          `mapstructure:"sessions"`
	KV             KVConfig             `mapstructure:"kv"`
	UserEvents     SwitchConfig         `mapstructure:"user_events"`
	ConfigEntries  LimitConfig          `mapstructure:"config_entries"`
	Certificates   SwitchConfig         `mapstructure:"certificates"`
	ACLToken       ACLTokenConfig       `mapstructure:"acl_token"`
	AgentTelemetry AgentTelemetryConfig `mapstructure:"agent_telemetry"`
}

// Consistency of reads, as the Consul API calls it.
type Consistency string

// The consistencies that Consul knows.
const (
	Stale             Consistency = "stale"
	DefaultConsistent Consistency = "default"
	Consistent        Consistency = "consistent"
)

// SwitchConfig turns a domain on or off.
type SwitchConfig struct {
	Enabled bool `mapstructure:"enabled"`
}

// LimitConfig is a domain with a bounded number of objects.
type LimitConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Limit is the largest number of objects that are observed.
	Limit int `mapstructure:"limit"`
}

// NamesConfig says which names are observed, in every domain they are in.
type NamesConfig struct {
	pattern.Filter `mapstructure:",squash"`
	// Limit is the largest number of names that are observed.
	Limit int `mapstructure:"limit"`
}

// ChecksConfig is of the health checks.
type ChecksConfig struct {
	LimitConfig `mapstructure:",squash"`
	// OutputLimit is how many bytes of a check's output are told with its
	// transitions; 0, the default, tells none.
	OutputLimit int `mapstructure:"output_limit"`
}

// CoordinatesConfig is of the network coordinates of the nodes.
type CoordinatesConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Sample is the largest number of pairs of nodes whose round trip is
	// computed.
	Sample int `mapstructure:"sample"`
}

// KVConfig is of the keys. None are read unless there are Prefixes.
type KVConfig struct {
	pattern.Filter `mapstructure:",squash"`
	// Prefixes of the keys to watch; an empty one stands for all keys.
	Prefixes []string `mapstructure:"prefixes"`
	// Limit is the largest number of keys that are observed under a prefix.
	Limit int `mapstructure:"limit"`
	// Fingerprint tells the length and SHA-256 of values, and finds changes of
	// them behind those of locks.
	Fingerprint bool `mapstructure:"fingerprint"`
}

// ACLTokenConfig is of the receiver's own token.
type ACLTokenConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// ExpiryWarning is how long before the token's expiry it is told.
	ExpiryWarning time.Duration `mapstructure:"expiry_warning"`
}

// AgentTelemetryConfig is of the agent's own metrics.
type AgentTelemetryConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Limit is the largest number of series.
	Limit int `mapstructure:"limit"`
}

// Unmarshal reads the configuration. A list may be one string, separated by
// commas, as an environment variable gives it.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := configcheck.Unmarshal(conf, c); err != nil {
		return err
	}
	for _, list := range [][]string{c.KV.Prefixes, c.Datacenters} {
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
		c.token().Validate(),
		c.Consistency.validate(),
		c.Services.Validate("services"),
		c.Nodes.Validate("nodes"),
		c.KV.Validate("kv"),
		configcheck.Duration("acl_token::expiry_warning", c.ACLToken.ExpiryWarning, "24h"),
	}
	for key, value := range map[string]int{
		"services::limit":        c.Services.Limit,
		"nodes::limit":           c.Nodes.Limit,
		"checks::limit":          c.Checks.Limit,
		"members::limit":         c.Members.Limit,
		"coordinates::sample":    c.Coordinates.Sample,
		"sessions::limit":        c.Sessions.Limit,
		"kv::limit":              c.KV.Limit,
		"config_entries::limit":  c.ConfigEntries.Limit,
		"agent_telemetry::limit": c.AgentTelemetry.Limit,
	} {
		errs = append(errs, configcheck.Positive(key, value))
	}
	if c.Checks.OutputLimit < 0 {
		errs = append(errs, fmt.Errorf("checks::output_limit is %d: set it to a number of bytes, or to 0 to tell no output", c.Checks.OutputLimit))
	}
	return errors.Join(append(errs, c.validateDatacenters(), c.KV.validatePrefixes())...)
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

// validatePrefixes refuses prefixes that would tell a key twice, and those that
// no key can have.
func (c KVConfig) validatePrefixes() error {
	for i, prefix := range c.Prefixes {
		if strings.HasPrefix(prefix, "/") {
			return fmt.Errorf("kv::prefixes[%d] %q begins with a slash, which keys of Consul do not: remove it", i, prefix)
		}
		for j, other := range c.Prefixes {
			if i != j && strings.HasPrefix(prefix, other) {
				return fmt.Errorf("kv::prefixes[%d] %q is a part of %q: remove one of them", i, prefix, other)
			}
		}
	}
	return nil
}

func (c Consistency) validate() error {
	if known := []Consistency{Stale, DefaultConsistent, Consistent}; !slices.Contains(known, c) {
		return fmt.Errorf("consistency is %q: set it to stale, default or consistent", c)
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
	return tokenfile.Source{
		Token:    configopaque.String(os.Getenv(api.HTTPTokenEnvName)),
		File:     os.Getenv(api.HTTPTokenFileEnvName),
		FileName: api.HTTPTokenFileEnvName,
	}
}

func (c *Config) namespace() string { return cmp.Or(c.Namespace, os.Getenv(api.HTTPNamespaceEnvName)) }

func (c *Config) partition() string { return cmp.Or(c.Partition, os.Getenv(api.HTTPPartitionEnvName)) }

func defaultConfig() *Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://127.0.0.1:8500"
	client.Timeout = defaultTimeout
	scrape := scraperhelper.NewDefaultControllerConfig()
	scrape.CollectionInterval = 10 * time.Second
	scrape.Timeout = defaultTimeout // the same key as the client's
	return &Config{
		HTTP:           client,
		Scrape:         scrape,
		Metrics:        metadata.NewDefaultMetricsBuilderConfig(),
		Events:         metadata.DefaultLogsBuilderConfig(),
		Consistency:    Stale,
		Services:       NamesConfig{Limit: 5_000},
		Nodes:          NamesConfig{Limit: 10_000},
		Checks:         ChecksConfig{LimitConfig: LimitConfig{Enabled: true, Limit: 100_000}},
		Catalog:        SwitchConfig{Enabled: true},
		Cluster:        SwitchConfig{Enabled: true},
		Members:        LimitConfig{Enabled: true, Limit: 10_000},
		Coordinates:    CoordinatesConfig{Enabled: true, Sample: 1_000},
		Sessions:       LimitConfig{Enabled: true, Limit: 10_000},
		KV:             KVConfig{Limit: 10_000},
		UserEvents:     SwitchConfig{Enabled: true},
		ConfigEntries:  LimitConfig{Enabled: true, Limit: 10_000},
		Certificates:   SwitchConfig{Enabled: true},
		ACLToken:       ACLTokenConfig{Enabled: true, ExpiryWarning: 24 * time.Hour},
		AgentTelemetry: AgentTelemetryConfig{Limit: 2_000},
	}
}
