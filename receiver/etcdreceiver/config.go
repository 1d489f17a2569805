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
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
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
	// told last, and what lasts, survive a restart of the collector.
	Storage *component.ID `mapstructure:"storage"`

	// Watch names the keys whose changes are told as events.
	Watch WatchConfig `mapstructure:"watch"`

	// Locks and Elections name the keys where they are followed. They are
	// recognized under the prefixes of Watch, too.
	Locks     PrefixConfig `mapstructure:"locks"`
	Elections PrefixConfig `mapstructure:"elections"`

	Leases LeasesConfig `mapstructure:"leases"`

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

// PrefixConfig is a part of the key space.
type PrefixConfig struct {
	// Prefixes is empty by default: names of keys can be sensitive too.
	Prefixes []string `mapstructure:"prefixes"`
}

// WatchConfig is of the keys.
type WatchConfig struct {
	PrefixConfig `mapstructure:",squash"`

	// Filter selects by name which of the keys, under all prefixes, are observed.
	pattern.Filter `mapstructure:",squash"`

	// Start says where the watch begins, and Revision is that of StartRevision.
	Start    Start `mapstructure:"start"`
	Revision int64 `mapstructure:"revision"`

	// Limit is the largest number of keys that are remembered, under all
	// prefixes.
	Limit int `mapstructure:"limit"`

	// Queue is the largest number of changes of a prefix that are read before
	// they are told.
	Queue int `mapstructure:"queue"`

	// PrevKV asks etcd for what a key was before each change, so that deletions
	// of keys beyond Limit are told in full, too.
	PrevKV bool `mapstructure:"prev_kv"`

	// Fingerprint tells the SHA-256 of values.
	Fingerprint bool `mapstructure:"fingerprint"`
}

// Start is where a watch begins.
type Start string

// The places where a watch can begin.
const (
	// StartLatest is the present, at each start of the collector.
	StartLatest Start = "latest"
	// StartCheckpoint is after what was told last, as the storage says; the
	// present without it.
	StartCheckpoint Start = "checkpoint"
	// StartRevision is a revision; after it was told, it is StartCheckpoint.
	StartRevision Start = "revision"
)

// LeasesConfig is of the leases.
type LeasesConfig struct {
	Mode LeaseMode `mapstructure:"mode"`

	// RequestsPerSecond bounds how often etcd is asked for single leases: each
	// such request goes to the leader.
	RequestsPerSecond float64 `mapstructure:"requests_per_second"`

	// Limit is the largest number of leases that are followed.
	Limit int `mapstructure:"limit"`
}

// LeaseMode says which leases are followed.
type LeaseMode string

// The modes of following leases.
const (
	LeasesOff     LeaseMode = "off"
	LeasesCount   LeaseMode = "count"   // only their number
	LeasesWatched LeaseMode = "watched" // those attached to observed keys
	LeasesAll     LeaseMode = "all"
)

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
		c.Watch.validate(),
		c.Watch.PrefixConfig.validate("watch"),
		c.Locks.validate("locks"),
		c.Elections.validate("elections"),
		c.Leases.validate(),
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

func (c PrefixConfig) validate(key string) error {
	for i, prefix := range c.Prefixes {
		if prefix == "" {
			return fmt.Errorf(`%s::prefixes[%d] is empty, which is every key: write "/" or another prefix`, key, i)
		}
		if strings.HasSuffix(prefix, "*") {
			return fmt.Errorf("%s::prefixes[%d] %q ends in an asterisk: a prefix is no pattern, remove it", key, i, prefix)
		}
	}
	return nil
}

func (c WatchConfig) validate() error {
	errs := []error{
		c.Validate("watch"),
		configcheck.Positive("watch::limit", c.Limit),
		configcheck.Positive("watch::queue", c.Queue),
	}
	switch {
	case !slices.Contains([]Start{StartLatest, StartCheckpoint, StartRevision}, c.Start):
		errs = append(errs, fmt.Errorf("watch::start is %q: set it to latest, checkpoint or revision", c.Start))
	case c.Revision < 0:
		errs = append(errs, fmt.Errorf("watch::revision is %d: set it to the first revision to tell", c.Revision))
	case c.Start == StartRevision && c.Revision < 1:
		errs = append(errs, errors.New("watch::start is revision without watch::revision: set it to the first revision to tell"))
	case c.Start != StartRevision && c.Revision != 0:
		errs = append(errs, errors.New("watch::revision is set, but watch::start is not revision: set watch::start to it, or remove watch::revision"))
	}
	return errors.Join(errs...)
}

func (c LeasesConfig) validate() error {
	errs := []error{configcheck.Positive("leases::limit", c.Limit)}
	if !slices.Contains([]LeaseMode{LeasesOff, LeasesCount, LeasesWatched, LeasesAll}, c.Mode) {
		errs = append(errs, fmt.Errorf("leases::mode is %q: set it to off, count, watched or all", c.Mode))
	}
	if !(c.RequestsPerSecond > 0) {
		errs = append(errs, errors.New("leases::requests_per_second is not above 0: set it to a number such as 10, or set leases::mode to off or count"))
	}
	return errors.Join(errs...)
}

func (c *Config) prefixes() state.Prefixes {
	return state.Prefixes{Watch: c.Watch.Prefixes, Locks: c.Locks.Prefixes, Elections: c.Elections.Prefixes}
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
		Watch:       WatchConfig{Start: StartCheckpoint, Limit: 100_000, Queue: 50_000},
		Leases:      LeasesConfig{Mode: LeasesWatched, RequestsPerSecond: 10, Limit: 100_000},
		Metrics:     metadata.NewDefaultMetricsBuilderConfig(),
		Events:      metadata.DefaultLogsBuilderConfig(),
	}
}
