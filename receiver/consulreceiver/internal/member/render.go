// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders a change as an event.
func Render(r *collect.Renderer, c snapshot.Change[string, Member]) {
	ctx, m := context.Background(), c.Now()
	pool := metadata.MapAttributeConsulMemberPool[string(m.Pool)]
	switch {
	case c.Removed && (m.Status == Alive || m.Status == Leaving), !c.Removed && m.Status == Left && c.Prev.Status != Left:
		r.Event(plog.SeverityNumberInfo, "member "+c.Key+" left", func(b *metadata.LogsBuilder) {
			b.RecordConsulMemberLeftEvent(ctx, r.Now, pool, c.Key, m.Address)
		})
	case c.Removed || m.Status == c.Prev.Status:
		// It had left or failed, as was reported.
	case m.Status == Failed:
		r.Event(plog.SeverityNumberError, "member "+c.Key+" failed", func(b *metadata.LogsBuilder) {
			b.RecordConsulMemberFailedEvent(ctx, r.Now, pool, c.Key, m.Address, c.Initial)
		})
	case m.Status == Alive && c.Prev.Status != Leaving:
		r.Event(plog.SeverityNumberInfo, "member "+c.Key+" joined", func(b *metadata.LogsBuilder) {
			b.RecordConsulMemberJoinedEvent(ctx, r.Now, pool, c.Key, m.Address, c.Initial)
		})
	}
}

// RecordCounts records the number of members of a pool in each status.
func RecordCounts(m collect.Metrics, pool Pool, members map[string]Member) {
	counts := map[Status]int64{}
	for _, member := range members {
		counts[member.Status]++
	}
	for status, attr := range metadata.MapAttributeConsulMemberStatus {
		m.RecordConsulMemberCountDataPoint(m.TS(), counts[Status(status)], metadata.MapAttributeConsulMemberPool[string(pool)], attr)
	}
}

// RecordVersions records the number of members of a pool by version, and what each is.
func RecordVersions(m collect.Metrics, pool Pool, members map[string]Member) {
	in := metadata.MapAttributeConsulMemberPool[string(pool)]
	for version, n := range AliveByVersion(members) {
		m.RecordConsulMemberByVersionCountDataPoint(m.TS(), n, in, version)
	}
	for name, member := range members {
		m.RecordConsulMemberInfoDataPoint(m.TS(), 1, in, name, metadata.MapAttributeConsulMemberRole[string(member.Role)], member.Version)
	}
}
