// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// defaultTimeout is how long a request may take, beyond the time for which
// Consul holds a blocking query.
const defaultTimeout = 5 * time.Second

// Config is the configuration of the receiver.
type Config struct {
	// HTTP holds `endpoint`, the URL of the Consul API (or host:port, which
	// means http), and the other settings of the HTTP client.
	HTTP confighttp.ClientConfig `mapstructure:",squash"`

	// Scrape holds `collection_interval`, the time between two collections of
	// metrics. Events and traces do not wait for it: they come from a watch.
	Scrape scraperhelper.ControllerConfig `mapstructure:",squash"`

	Metrics metadata.MetricsBuilderConfig `mapstructure:",squash"`
	Events  metadata.LogsBuilderConfig    `mapstructure:",squash"`

	// Token is the ACL token. When it and TokenFile are empty, the environment
	// variable CONSUL_HTTP_TOKEN counts, as for every Consul client.
	Token configopaque.String `mapstructure:"token"`

	// TokenFile is the path of a file that holds the token. It is read at
	// every request, so a rotated token needs no restart.
	TokenFile string `mapstructure:"token_file"`

	// MaxChecks is the largest number of checks that are followed. What is
	// beyond it is not observed, and the component's status says so.
	MaxChecks int `mapstructure:"max_checks"`
}

// Unmarshal reads the configuration.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	return configcheck.Unmarshal(conf, c)
}

// Validate checks what can be checked without a server.
func (c *Config) Validate() error {
	return errors.Join(
		configcheck.URL("endpoint", c.endpoint(), "http://127.0.0.1:8500"),
		configcheck.Duration("collection_interval", c.Scrape.CollectionInterval, "10s"),
		configcheck.Timeout("timeout", c.HTTP.Timeout, "5s"),
		c.token().Validate(),
		configcheck.Positive("max_checks", c.MaxChecks),
	)
}

// endpoint returns the URL of the API. As in CONSUL_HTTP_ADDR, the scheme may
// be left out and is then http.
func (c *Config) endpoint() string { return address.WithScheme(c.HTTP.Endpoint) }

func (c *Config) token() tokenfile.Source {
	return tokenfile.Source{Token: c.Token, File: c.TokenFile}
}

func defaultConfig() *Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://127.0.0.1:8500"
	client.Timeout = defaultTimeout
	scrape := scraperhelper.NewDefaultControllerConfig()
	scrape.CollectionInterval = 10 * time.Second
	scrape.Timeout = defaultTimeout // the same key as the client's
	return &Config{
		HTTP:      client,
		Scrape:    scrape,
		Metrics:   metadata.NewDefaultMetricsBuilderConfig(),
		Events:    metadata.DefaultLogsBuilderConfig(),
		MaxChecks: 100_000,
	}
}
