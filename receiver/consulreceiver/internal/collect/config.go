// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import "github.com/otelcol-infra/otelcol-infra/internal/pattern"

// SwitchConfig turns a kind on or off.
type SwitchConfig struct {
	Enabled bool `mapstructure:"enabled"`
}

// LimitConfig is of a kind with a bounded number of objects.
type LimitConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Limit is the largest number of objects that are observed.
	Limit int `mapstructure:"limit"`
}

// NamesConfig says which names are observed, in every kind that has them.
type NamesConfig struct {
	pattern.Filter `mapstructure:",squash"`
	// Limit is the largest number of names that are observed.
	Limit int `mapstructure:"limit"`
}
