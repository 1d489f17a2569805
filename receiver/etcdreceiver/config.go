// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

const (
	defaultEndpoint = "http://127.0.0.1:2379"

	// defaultTimeout is how long a request may take.
	defaultTimeout = 5 * time.Second
)

// Config is the configuration of the receiver.
type Config struct {
	// Endpoints are the client URLs of the members. Each gives metrics of its
	// own; the watch uses whichever answers.
	Endpoints []string `mapstructure:"endpoints"`

	// TLS counts for https endpoints.
	TLS configtls.ClientConfig `mapstructure:"tls"`

	// Username and Password are of an etcd user; empty without authentication.
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`

	// DialTimeout is how long making a connection, or logging in, may take.
	DialTimeout time.Duration `mapstructure:"dial_timeout"`

	// Scrape holds `collection_interval`, the time between two collections of
	// metrics, and `timeout`, how long a request may take. Events and traces
	// do not wait for the interval: they come from a watch.
	Scrape scraperhelper.ControllerConfig `mapstructure:",squash"`

	// Watch names the keys whose changes are told as events.
	Watch PrefixConfig `mapstructure:"watch"`

	// Locks names the keys where locks are followed.
	Locks PrefixConfig `mapstructure:"locks"`

	// MaxKeys is the largest number of keys that are remembered, under all
	// prefixes. The component's status says when there are more.
	MaxKeys int `mapstructure:"max_keys"`

	Metrics metadata.MetricsBuilderConfig `mapstructure:",squash"`
	Events  metadata.LogsBuilderConfig    `mapstructure:",squash"`
}

// PrefixConfig is a part of the key space.
type PrefixConfig struct {
	// Prefixes is empty by default: names of keys can be sensitive too.
	Prefixes []string `mapstructure:"prefixes"`
}

// Unmarshal reads the configuration. The lists may be one string each, separated
// by commas, as an environment variable gives them.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := configcheck.Unmarshal(conf, c); err != nil {
		return err
	}
	for _, list := range [][]string{c.Endpoints, c.Watch.Prefixes, c.Locks.Prefixes} {
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
	}
	return nil
}

// Validate checks what can be checked without a server.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateEndpoints(),
		c.validateUser(),
		configcheck.Duration("collection_interval", c.Scrape.CollectionInterval, "10s"),
		configcheck.Timeout("timeout", c.Scrape.Timeout, "5s"),
		configcheck.Duration("dial_timeout", c.DialTimeout, "5s"),
		c.Watch.validate("watch"),
		c.Locks.validate("locks"),
		configcheck.Positive("max_keys", c.MaxKeys),
	)
}

func (c *Config) validateEndpoints() error {
	if len(c.Endpoints) == 0 {
		return fmt.Errorf("endpoints is empty: list the client URLs of the members, such as %s", defaultEndpoint)
	}
	schemes := map[bool]bool{}
	var errs []error
	for i, endpoint := range c.Endpoints {
		key := fmt.Sprintf("endpoints[%d]", i)
		if err := configcheck.URL(key, address.WithScheme(endpoint), defaultEndpoint); err != nil {
			errs = append(errs, err)
		} else if u, _ := url.Parse(address.WithScheme(endpoint)); u.Port() == "" {
			errs = append(errs, fmt.Errorf("%s has no port: write it like %s", key, defaultEndpoint))
		}
		schemes[secure(endpoint)] = true
	}
	if len(schemes) > 1 {
		errs = append(errs, errors.New("endpoints are partly https: use https for all of them or for none"))
	}
	return errors.Join(errs...)
}

func (c *Config) validateUser() error {
	switch {
	case c.Username != "" && c.Password == "":
		return errors.New("username is set without password: set both or neither")
	case c.Username == "" && c.Password != "":
		return errors.New("password is set without username: set both or neither")
	default:
		return nil
	}
}

func (c PrefixConfig) validate(key string) error {
	for i, prefix := range c.Prefixes {
		if prefix == "" {
			return fmt.Errorf(`%s.prefixes[%d] is empty, which is every key: write "/" or another prefix`, key, i)
		}
	}
	return nil
}

func (c *Config) prefixes() state.Prefixes {
	return state.Prefixes{Watch: c.Watch.Prefixes, Locks: c.Locks.Prefixes}
}

// loadTLS returns nil when the endpoints are not https.
func (c *Config) loadTLS(ctx context.Context) (*tls.Config, error) {
	if !secure(c.Endpoints[0]) {
		return nil, nil
	}
	return c.TLS.LoadTLSConfig(ctx)
}

func secure(endpoint string) bool { return strings.HasPrefix(endpoint, "https://") }

func defaultConfig() *Config {
	scrape := scraperhelper.NewDefaultControllerConfig()
	scrape.CollectionInterval = 10 * time.Second
	scrape.Timeout = defaultTimeout
	return &Config{
		Endpoints:   []string{defaultEndpoint},
		TLS:         configtls.NewDefaultClientConfig(),
		DialTimeout: defaultTimeout,
		Scrape:      scrape,
		MaxKeys:     100_000,
		Metrics:     metadata.NewDefaultMetricsBuilderConfig(),
		Events:      metadata.DefaultLogsBuilderConfig(),
	}
}
