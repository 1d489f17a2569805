// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const defaultEndpoint = "http://127.0.0.1:2379"

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

	// PasswordFile is the path of a file that holds the password. It is read at
	// every login, so a rotated password needs no restart.
	PasswordFile string `mapstructure:"password_file"`

	// DialTimeout is how long making a connection, or logging in, may take.
	DialTimeout time.Duration `mapstructure:"dial_timeout"`

	// Keepalive is how connections that are quiet are asked whether they live.
	Keepalive KeepaliveConfig `mapstructure:"keepalive"`

	// Scrape holds `collection_interval`, the time between two collections of
	// metrics, and `timeout`, how long a request may take. Events and traces
	// do not wait for the interval: they come from a watch.
	Scrape scraperhelper.ControllerConfig `mapstructure:",squash"`

	// Storage is the ID of a storage extension in which the revision that was
	// reported last, and what lasts, survive a restart of the collector.
	Storage *component.ID `mapstructure:"storage"`

	// Watch names the keys whose changes are reported as events.
	Watch keyspace.WatchConfig `mapstructure:"watch"`

	// Locks and Elections name the keys where they are followed. They are
	// recognized under the prefixes of Watch, too.
	Locks     keyspace.PrefixConfig `mapstructure:"locks"`
	Elections keyspace.PrefixConfig `mapstructure:"elections"`

	Leases lease.Config `mapstructure:"leases"`

	Metrics metadata.MetricsBuilderConfig `mapstructure:",squash"`
	Events  metadata.LogsBuilderConfig    `mapstructure:",squash"`
}

// KeepaliveConfig is of the connections.
type KeepaliveConfig struct {
	// Time after which a quiet connection is asked, and Timeout after which one
	// that does not answer is given up.
	Time    time.Duration `mapstructure:"time"`
	Timeout time.Duration `mapstructure:"timeout"`
}

// Unmarshal reads the configuration. The lists may be one string each, separated
// by commas, as an environment variable gives them.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if conf.IsSet("scrape_member_metrics") {
		return errors.New("scrape_member_metrics is no longer a setting: remove it, and scrape the members with the prometheus receiver, see docs/guides/etcd-metrics.md")
	}
	if err := configcheck.Unmarshal(conf, c); err != nil {
		return err
	}
	for _, list := range [][]string{c.Endpoints, c.Watch.Prefixes, c.Locks.Prefixes, c.Elections.Prefixes} {
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
		c.Keepalive.validate(),
		configcheck.Duration("keepalive::timeout", c.Keepalive.Timeout, "10s"),
		c.Watch.Check(),
		c.Locks.Check("locks"),
		c.Elections.Check("elections"),
		c.Leases.Check(),
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
		if j := slices.IndexFunc(c.Endpoints[:i], func(other string) bool { return address.HostPort(other) == address.HostPort(endpoint) }); j >= 0 {
			errs = append(errs, fmt.Errorf("%s is the same as endpoints[%d]: name each member once", key, j))
		}
	}
	if len(schemes) > 1 {
		errs = append(errs, errors.New("endpoints are partly https: use https for all of them or for none"))
	}
	return errors.Join(errs...)
}

func (c *Config) validateUser() error {
	if c.Username == "" && (c.Password != "" || c.PasswordFile != "") {
		return errors.New("password is set without username: set both or neither")
	}
	if c.Username != "" && c.Password == "" && c.PasswordFile == "" {
		return errors.New("username is set without password or password_file: set one of them, or no username")
	}
	return c.password().Validate()
}

func (c KeepaliveConfig) validate() error {
	if c.Time < 10*time.Second {
		return fmt.Errorf("keepalive::time is %s: set it to 10s or more, as gRPC does not ask more often", c.Time)
	}
	return nil
}

func (c *Config) password() tokenfile.Source {
	return tokenfile.Source{Token: c.Password, File: c.PasswordFile, Name: "password"}
}

// keyspace returns what the key space is observed with.
func (c *Config) keyspace() keyspace.Config {
	return keyspace.Config{Watch: c.Watch, Locks: c.Locks, Elections: c.Elections, Leases: c.Leases, Stored: c.Storage != nil}
}

// apiOptions returns the options of a client of etcd.
func (c *Config) apiOptions(tlsConfig *tls.Config) etcdapi.Options {
	return etcdapi.Options{
		TLS: tlsConfig, Anonymous: tlsConfig != nil && c.TLS.CertFile == "" && c.TLS.CertPem == "",
		Username: c.Username, Password: c.password(),
		DialTimeout: c.DialTimeout, KeepaliveTime: c.Keepalive.Time, KeepaliveTimeout: c.Keepalive.Timeout,
		Timeout: cmp.Or(c.Scrape.Timeout, etcdapi.DefaultTimeout),
	}
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
	scrape.Timeout = etcdapi.DefaultTimeout
	return &Config{
		Endpoints:   []string{defaultEndpoint},
		TLS:         configtls.NewDefaultClientConfig(),
		DialTimeout: etcdapi.DefaultTimeout,
		Scrape:      scrape,
		Keepalive:   KeepaliveConfig{Time: 30 * time.Second, Timeout: 10 * time.Second},
		Watch:       keyspace.DefaultWatchConfig(),
		Leases:      lease.DefaultConfig(),
		Metrics:     metadata.NewDefaultMetricsBuilderConfig(),
		Events:      metadata.DefaultLogsBuilderConfig(),
	}
}
