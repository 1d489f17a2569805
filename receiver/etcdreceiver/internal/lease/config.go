// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"errors"
	"fmt"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
)

// Config says which leases are followed.
type Config struct {
	Mode Mode `mapstructure:"mode"`

	// RequestsPerSecond bounds how often etcd is queried for single leases: each
	// such request goes to the leader.
	RequestsPerSecond float64 `mapstructure:"requests_per_second"`

	// Limit is the largest number of leases that are followed.
	Limit int `mapstructure:"limit"`
}

// Mode says which leases are followed.
type Mode string

// The modes of following leases.
const (
	ModeOff     Mode = "off"
	ModeCount   Mode = "count"   // only their number
	ModeWatched Mode = "watched" // those attached to observed keys
	ModeAll     Mode = "all"
)

// DefaultConfig returns the configuration that holds where nothing else is said.
func DefaultConfig() Config { return Config{Mode: ModeWatched, RequestsPerSecond: 10, Limit: 100_000} }

// Check checks what can be checked without a server.
func (c Config) Check() error {
	errs := []error{configcheck.Positive("leases::limit", c.Limit)}
	if !slices.Contains([]Mode{ModeOff, ModeCount, ModeWatched, ModeAll}, c.Mode) {
		errs = append(errs, fmt.Errorf("leases::mode is %q: set it to off, count, watched or all", c.Mode))
	}
	if !(c.RequestsPerSecond > 0) {
		errs = append(errs, errors.New("leases::requests_per_second is not above 0: set it to a number such as 10, or set leases::mode to off or count"))
	}
	return errors.Join(errs...)
}

// Followed says whether leases are followed one by one.
func (c Config) Followed() bool { return c.Mode == ModeWatched || c.Mode == ModeAll }

// Listed says whether etcd is queried for a list of all.
func (c Config) Listed() bool { return c.Mode == ModeCount || c.Mode == ModeAll }
