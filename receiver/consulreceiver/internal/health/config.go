// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import "github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"

// Config is of the health checks.
type Config struct {
	collect.LimitConfig `mapstructure:",squash"`
	// OutputLimit is how many bytes of a check's output are reported with its
	// transitions; 0, the default, reports none.
	OutputLimit int `mapstructure:"output_limit"`
	// SidecarIncidents gives the failing checks of sidecar proxies outages and incidents
	// of their own. Without it they have transitions and metrics only.
	SidecarIncidents bool `mapstructure:"sidecar_incidents"`
	// StatesLimit is the largest number of nodes, and of instances, that have a state of
	// their own, where these metrics are enabled.
	StatesLimit int `mapstructure:"states_limit"`
}
