// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package network

// Config is of the network coordinates of the nodes.
type Config struct {
	Enabled bool `mapstructure:"enabled"`
	// Sample is the largest number of pairs of nodes whose round trip is
	// computed.
	Sample int `mapstructure:"sample"`
}
