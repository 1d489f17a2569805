// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

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
	// they are reported.
	Queue int `mapstructure:"queue"`

	// PrevKV asks etcd for what a key was before each change, so that deletions
	// of keys beyond Limit are reported in full, too.
	PrevKV bool `mapstructure:"prev_kv"`

	// Fingerprint reports the SHA-256 of values.
	Fingerprint bool `mapstructure:"fingerprint"`
}

// Start is where a watch begins.
type Start string

// The places where a watch can begin.
const (
	// StartLatest is the present, at each start of the collector.
	StartLatest Start = "latest"
	// StartCheckpoint is after what was reported last, as the storage says; the
	// present without it.
	StartCheckpoint Start = "checkpoint"
	// StartRevision is a revision; after it was reported, it is StartCheckpoint.
	StartRevision Start = "revision"
)

// DefaultWatchConfig returns the configuration that holds where nothing else is said.
func DefaultWatchConfig() WatchConfig {
	return WatchConfig{Start: StartCheckpoint, Limit: 100_000, Queue: 50_000}
}

// Config is what a Collector is made of.
type Config struct {
	Watch            WatchConfig
	Locks, Elections PrefixConfig
	Leases           lease.Config
	Stored           bool // what is known survives a restart
}

// Prefixes returns the parts of the key space that are observed.
func (c Config) Prefixes() Prefixes {
	return Prefixes{Watch: c.Watch.Prefixes, Locks: c.Locks.Prefixes, Elections: c.Elections.Prefixes}
}

// Check checks what can be checked without a server. key is the one in the
// configuration.
func (c PrefixConfig) Check(key string) error {
	for i, prefix := range c.Prefixes {
		if prefix == "" {
			return fmt.Errorf(`%s::prefixes[%d] is empty: write a prefix, or remove it; watch::prefixes: [""] is all keys`, key, i)
		}
		if strings.HasSuffix(prefix, "*") {
			return fmt.Errorf("%s::prefixes[%d] %q ends in an asterisk: a prefix is no pattern, remove it", key, i, prefix)
		}
	}
	return nil
}

// AllKeys says whether all keys are watched, whatever they begin with.
func (c WatchConfig) AllKeys() bool { return slices.Equal(c.Prefixes, []string{""}) }

// Check checks what can be checked without a server.
func (c WatchConfig) Check() error {
	errs := []error{
		c.Validate("watch"),
		configcheck.Positive("watch::limit", c.Limit),
		configcheck.Positive("watch::queue", c.Queue),
	}
	switch {
	case !slices.Contains([]Start{StartLatest, StartCheckpoint, StartRevision}, c.Start):
		errs = append(errs, fmt.Errorf("watch::start is %q: set it to latest, checkpoint or revision", c.Start))
	case c.Revision < 0:
		errs = append(errs, fmt.Errorf("watch::revision is %d: set it to the first revision to report", c.Revision))
	case c.Start == StartRevision && c.Revision < 1:
		errs = append(errs, errors.New("watch::start is revision without watch::revision: set it to the first revision to report"))
	case c.Start != StartRevision && c.Revision != 0:
		errs = append(errs, errors.New("watch::revision is set, but watch::start is not revision: set watch::start to it, or remove watch::revision"))
	}
	if !c.AllKeys() {
		errs = append(errs, c.PrefixConfig.Check("watch"))
	}
	return errors.Join(errs...)
}
