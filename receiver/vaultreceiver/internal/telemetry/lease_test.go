// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const leaseID = "database/creds/app/2f6a614c"

// leaseStory follows leases, and renders all that it is told.
type leaseStory struct {
	roster *state.Roster[state.LeaseDetail]
	naming LeaseNaming
	traces ptrace.Traces
	logs   plog.Logs
	tally  *LeaseTally
}

func newLeaseStory(naming LeaseNaming) *leaseStory {
	if naming.Mounts == nil {
		naming.Mounts = func() []string { return nil }
	}
	return &leaseStory{
		roster: state.NewRoster[state.LeaseDetail](10, time.Hour, 0), naming: naming,
		traces: ptrace.NewTraces(), logs: plog.NewLogs(), tally: NewLeaseTally(leaseTime(0), naming),
	}
}

func leaseTime(seconds int) time.Time { return time.Unix(1_000_000+int64(seconds), 0) }

func (s *leaseStory) take(at int, effects []LeaseEffect) {
	s.tally.Take(leaseTime(at), effects)
	told := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type)).
		RenderLeases(leaseTime(at), resource(), s.naming, effects)
	told.Traces.ResourceSpans().MoveAndAppendTo(s.traces.ResourceSpans())
	told.Logs.ResourceLogs().MoveAndAppendTo(s.logs.ResourceLogs())
}

func (s *leaseStory) list(at int, ids ...string) {
	s.roster.Begin("database")
	for _, id := range ids {
		s.roster.See(leaseTime(at), "database", id, false)
	}
	s.take(at, s.roster.Finish(leaseTime(at), "database", false))
}

func (s *leaseStory) answer(at, issued, renewed, expires int, renewable bool) {
	f := state.Facts{Issued: leaseTime(issued), Expires: leaseTime(expires), Left: time.Duration(expires-at) * time.Second, Renewable: renewable}
	if renewed > 0 {
		f.Renewed = leaseTime(renewed)
	}
	s.take(at, s.roster.Answer(leaseTime(at), leaseTime(at), leaseID, f, nil))
}

// issuedBy takes in which request has issued the lease.
func (s *leaseStory) issuedBy(origin state.Origin) {
	s.roster.Change(leaseID, func(detail *state.LeaseDetail) bool { detail.Origin = &origin; return true })
}

func TestTheEndsOfLeases(t *testing.T) {
	for scenario, test := range map[string]struct {
		naming LeaseNaming
		play   func(s *leaseStory)
	}{
		"a lease is issued and renewed and expires": {LeaseNaming{}, func(s *leaseStory) {
			s.answer(61, 50, 0, 350, true)
			s.answer(275, 50, 240, 540, true)
			s.answer(465, 50, 240, 540, true)
			s.list(600)
		}},
		"a lease is revoked": {LeaseNaming{FullIDs: true}, func(s *leaseStory) {
			s.answer(61, 50, 0, 3650, false)
			s.list(120)
		}},
		"a lease that can be renewed is revoked, of a mount with a long path": {
			LeaseNaming{Mounts: func() []string { return []string{"database/", "database/creds/"} }},
			func(s *leaseStory) {
				s.answer(61, 50, 0, 3650, true)
				s.list(120)
			},
		},
		"a lease ends before it is asked for": {LeaseNaming{}, func(s *leaseStory) { s.list(120) }},
		"a lease cannot be revoked, and goes after all": {LeaseNaming{}, func(s *leaseStory) {
			s.answer(61, 50, 0, 80, false)
			s.list(120, leaseID)
			s.roster.Change(leaseID, func(detail *state.LeaseDetail) bool { detail.Irrevocable = true; return true })
			s.take(900, []LeaseEffect{state.IrrevocableLease(leaseTime(900), leaseID)})
			s.list(960)
		}},
		"a lease leads to the request that issued it": {LeaseNaming{}, func(s *leaseStory) {
			s.issuedBy(state.Origin{Trace: "0af7651916cd43dd8448eb211c80319c", Span: "b7ad6b7169203331"})
			s.answer(61, 50, 0, 3650, false)
			s.list(120)
		}},
		"the end of a lease leads to the request that seems to have issued it": {LeaseNaming{}, func(s *leaseStory) {
			s.answer(61, 50, 0, 3650, false)
			s.issuedBy(state.Origin{Trace: "0af7651916cd43dd8448eb211c80319c", Span: "b7ad6b7169203331", Likely: true})
			s.list(120)
		}},
	} {
		t.Run(scenario, func(t *testing.T) {
			s := newLeaseStory(test.naming)
			s.list(0)
			s.list(60, leaseID)
			test.play(s)
			goldentest.Traces(t, scenario, s.traces)
			goldentest.Logs(t, scenario, s.logs)
		})
	}
}

func TestTwoReceiversMakeTheSameSpansOfALease(t *testing.T) {
	span := func(seen int) ptrace.Span {
		s := newLeaseStory(LeaseNaming{})
		s.list(seen, leaseID)
		s.answer(61, 50, 0, 3650, false)
		s.list(120)
		return s.traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	}
	assert.Equal(t, span(0), span(30))
}

func TestWhatIsCountedOfLeases(t *testing.T) {
	s := newLeaseStory(LeaseNaming{})
	s.list(0)
	s.list(60, leaseID)
	s.answer(61, 50, 0, 350, true)
	s.answer(275, 50, 240, 540, true)
	s.tally.Left(leaseTime(300), 240*time.Second)
	s.tally.Left(leaseTime(300), -time.Second)
	s.list(310)
	mb := metadata.NewMetricsBuilder(metadata.NewDefaultMetricsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	now := pcommon.NewTimestampFromTime(leaseTime(400))
	s.tally.Record(mb, now)
	RecordLeaseCounts(mb, now, s.roster.Count(leaseTime(400), func(id string, _ state.LeaseDetail) string { return state.MountOf(id, nil) }))
	metrics := mb.Emit()
	s.tally.AppendTo(metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics(), now)
	goldentest.Metrics(t, "leases", metrics)
}

func TestMountsAreBounded(t *testing.T) {
	s := newLeaseStory(LeaseNaming{})
	var effects []LeaseEffect
	for i := range 2 * maxTallied {
		effects = append(effects, LeaseEffect{Event: state.LifeCreated, Life: state.Lease{ID: strconv.Itoa(i) + "/creds/app/1"}})
	}
	s.tally.Take(leaseTime(0), effects)
	assert.LessOrEqual(t, len(s.tally.mounts), maxTallied+1)
	require.Contains(t, s.tally.mounts, otherMounts)
	assert.Equal(t, int64(maxTallied), s.tally.mounts[otherMounts].created)
	assert.NotPanics(t, func() { s.tally.AppendTo(pmetric.NewMetricSlice(), 0) })
}
