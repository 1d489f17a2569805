// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Shared is what all datacenters of a receiver share.
type Shared struct {
	Settings  receiver.Settings
	Events    metadata.LogsBuilderConfig
	Condition *condition.Reporter
	Delivery  *watch.Delivery
	Store     *checkpoint.Store
	Telemetry *Telemetry // may be nil

	// Address is the host and port of the API.
	Address string
	// Interval is the time between two collections of metrics.
	Interval time.Duration
	// EmitInitial means that the first observation is reported as events, too.
	EmitInitial bool

	Filters Filters

	// Usages are the sizes of the catalogs of all datacenters.
	Usages consulapi.Usages
}

// Filters select by name what is observed, in every kind.
type Filters struct {
	Services, Nodes pattern.Matcher
	AllNodes        bool // no node is left out

	// MaxServices and MaxNodes are the largest numbers of them that are observed.
	MaxServices, MaxNodes int
}

// NewFilters compiles the filters of a configuration.
func NewFilters(services, nodes NamesConfig) (Filters, error) {
	s, err1 := services.Compile()
	n, err2 := nodes.Compile()
	return Filters{
		Services: s, Nodes: n, AllNodes: len(nodes.Include)+len(nodes.Exclude) == 0,
		MaxServices: services.Limit, MaxNodes: nodes.Limit,
	}, errors.Join(err1, err2)
}
