// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"cmp"
	"context"
	"sync"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// EndpointOverview is the part of the API that is read at each collection.
const EndpointOverview = "internal/ui/catalog-overview"

// Sizes reads the size of the catalog at each collection.
type Sizes struct {
	*collect.Env
	enabled              bool
	namespace, partition string

	mu     sync.Mutex
	totals map[string]int64
}

// NewSizes returns the Sizes of a datacenter.
func NewSizes(e *collect.Env, cfg collect.SwitchConfig, namespace, partition string) *Sizes {
	return &Sizes{Env: e, enabled: cfg.Enabled, namespace: namespace, partition: partition}
}

// Run implements collect.Collector: nothing is watched.
func (s *Sizes) Run(context.Context) {}

// Instances returns the number of instances by service at the last collection, or
// nothing if it is not known.
func (s *Sizes) Instances() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals
}

// Record implements collect.Collector.
func (s *Sizes) Record(ctx context.Context, m collect.Metrics) {
	if !s.enabled {
		return
	}
	if !m.Answers {
		s.SkipEndpoints(consulapi.EndpointUsage, EndpointOverview)
		return
	}
	totals, usage, err := ReadOverview(ctx, s.API, s.Filters, s.namespace, s.partition)
	s.SetEndpoint(EndpointOverview, err)
	if s.Name == "" {
		usage, err = s.API.Usage(ctx)
		s.SetEndpoint(consulapi.EndpointUsage, err)
		s.SetDatacenter(usage.Datacenter)
		if err == nil || consulapi.IsStale(err) {
			RecordLastContact(m, usage.LastContact)
		}
	}
	if s.Stale() { // The overview does not say how old it is.
		totals, usage = nil, consulapi.Usage{}
	}
	if err == nil && usage.Nodes > 0 { // else Consul has not counted yet
		RecordUsage(m, usage)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals = totals
}

// ReadOverview returns the number of instances by service, and the size of the
// catalog, of which Usage knows that of the agent's own datacenter only. Consul
// counts every few seconds, for its own page; the answer is as large as the
// number of services.
func ReadOverview(ctx context.Context, c *consulapi.Client, filters collect.Filters, namespace, partition string) (map[string]int64, consulapi.Usage, error) {
	type count struct {
		Name, Namespace, Partition string
		Total                      int64
	}
	reply, _, err := consulapi.Get[struct {
		Nodes, Services consulapi.Nullable[count] `answer:"required"` // null before Consul has counted
	}](ctx, c, EndpointOverview, consulapi.Query{})
	if err != nil {
		return nil, consulapi.Usage{}, err
	}
	totals := make(map[string]int64, len(reply.Services))
	usage := consulapi.Usage{Services: int64(len(reply.Services))}
	for _, n := range reply.Nodes {
		usage.Nodes += n.Total
	}
	for _, s := range reply.Services {
		usage.Instances += s.Total
		own := cmp.Or(s.Namespace, "default") == cmp.Or(namespace, "default") &&
			cmp.Or(s.Partition, "default") == cmp.Or(partition, "default")
		if own && filters.Services.Match(s.Name) {
			totals[s.Name] = s.Total
		}
	}
	return totals, usage, nil
}
