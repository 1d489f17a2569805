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
	*Changes
	enabled              bool
	namespace, partition string

	mu       sync.Mutex
	totals   map[string]int64
	imported bool
}

// NewSizes returns the Sizes of a datacenter.
func NewSizes(e *collect.Env, cfg collect.SwitchConfig, namespace, partition string) *Sizes {
	return &Sizes{Env: e, Changes: NewChanges(), enabled: cfg.Enabled, namespace: namespace, partition: partition}
}

// Run implements collect.Collector: nothing is watched.
func (s *Sizes) Run(context.Context) {}

// Instances returns the number of instances by service at the last collection, or
// nothing if it is not known. imported says that instances which peers export may be
// among them.
func (s *Sizes) Instances() (totals map[string]int64, imported bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals, s.imported
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
	totals, instances, err := ReadOverview(ctx, s.API, s.Filters, s.namespace, s.partition)
	s.SetEndpoint(EndpointOverview, err)
	usage, err := s.usage(ctx)
	s.SetEndpoint(consulapi.EndpointUsage, err)
	if s.Name == "" {
		s.SetDatacenter(usage.Datacenter)
		if err == nil || consulapi.IsStale(err) {
			RecordLastContact(m, usage.LastContact)
		}
	}
	if s.Stale() { // The overview does not say how old it is.
		totals, usage = nil, consulapi.Usage{}
	}
	if err == nil && usage.Nodes > 0 {
		RecordUsage(m, usage)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals, s.imported = totals, err != nil || instances > usage.Instances
}

// usage returns the size of the catalog, without what peers export.
func (s *Sizes) usage(ctx context.Context) (consulapi.Usage, error) {
	if s.Name == "" {
		return s.API.Usage(ctx)
	}
	return s.Usages.Of(ctx, s.API, s.Name, s.Interval/2)
}

// ReadOverview returns the number of instances by service, and of all. Consul
// counts every few seconds, for its own page, and counts what peers export with them;
// the answer is as large as the number of services.
func ReadOverview(ctx context.Context, c *consulapi.Client, filters collect.Filters, namespace, partition string) (totals map[string]int64, instances int64, err error) {
	type count struct {
		Name, Namespace, Partition string
		Total                      int64
	}
	reply, _, err := consulapi.Get[struct {
		Nodes, Services consulapi.Nullable[count] `answer:"required"` // null before Consul has counted
	}](ctx, c, EndpointOverview, consulapi.Query{})
	if err != nil {
		return nil, 0, err
	}
	totals = make(map[string]int64, len(reply.Services))
	for _, s := range reply.Services {
		instances += s.Total
		own := cmp.Or(s.Namespace, "default") == cmp.Or(namespace, "default") &&
			cmp.Or(s.Partition, "default") == cmp.Or(partition, "default")
		if own && filters.Services.Match(s.Name) {
			totals[s.Name] = s.Total
		}
	}
	return totals, instances, nil
}
