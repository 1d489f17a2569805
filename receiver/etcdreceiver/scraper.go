// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/telemetry"
)

// metricsScraper makes the metrics of what the watcher knows. It asks for
// nothing itself.
type metricsScraper struct {
	*sharedcomponent.Shared[*watcher]
	builder *metadata.MetricsBuilder
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{Shared: watcher, builder: metadata.NewMetricsBuilder(cfg.Metrics, settings)}
}

var _ component.Component = (*metricsScraper)(nil)

// Scrape returns what is known now.
func (s *metricsScraper) Scrape(context.Context) pmetric.Metrics {
	s.Observer.cluster.record(s.builder, time.Now())
	return s.builder.Emit()
}

// record records the members and their cluster, from the end of the first round
// on. What was learnt too long ago is left out, and a member that said nothing
// since then is down.
func (c *cluster) record(mb *metadata.MetricsBuilder, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rounds == 0 {
		return
	}
	age := max(2*c.cfg.Scrape.CollectionInterval, statusEvery+2*patience)
	ts := pcommon.NewTimestampFromTime(now)
	for _, m := range c.members {
		up := m.status.fresh(now, age)
		telemetry.RecordUp(mb, ts, up)
		if up {
			telemetry.RecordMember(mb, ts, m.status.value)
		}
		mb.EmitForResource(metadata.WithResource(memberResource(mb.NewResourceBuilder(), m.endpoint, m.status.value)))
	}
	if id := c.machine.ID(); id != 0 {
		c.recordCluster(mb, now, age)
		mb.EmitForResource(metadata.WithResource(clusterResource(mb.NewResourceBuilder(), hex(id))))
	}
}

func (c *cluster) recordCluster(mb *metadata.MetricsBuilder, now time.Time, age time.Duration) {
	ts := pcommon.NewTimestampFromTime(now)
	telemetry.RecordProgress(mb, ts, &c.machine)
	if has, known := state.HasLeader(c.machine.Of(c.said())); known {
		telemetry.RecordLeader(mb, ts, has)
	}
	if c.peers.fresh(now, age) {
		telemetry.RecordPeers(mb, ts, c.peers.value)
	}
	if c.alarms.fresh(now, age) {
		telemetry.RecordAlarms(mb, ts, c.alarms.value)
	}
	if c.oldest.fresh(now, age) && c.oldest.value > 0 {
		telemetry.RecordCompactRevision(mb, ts, c.oldest.value)
	}
}
