// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/histogram"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// LeaseTally counts what happened to leases. Only its histograms are safe for
// concurrent use.
type LeaseTally struct {
	naming LeaseNaming
	mounts map[string]*mountTally

	issued, remaining, lifetime *histogram.Histogram
}

type mountTally struct {
	created, renewed int64
	ended            map[state.EndCause]int64
}

// NewLeaseTally counts from start on.
func NewLeaseTally(start time.Time, naming LeaseNaming) *LeaseTally {
	of := func(name, description, attribute string, keys ...histogram.Key) *histogram.Histogram {
		h := histogram.New(histogram.Config{
			Name: name, Description: description, Unit: "s", Attributes: [3]string{attribute}, Bounds: leaseBounds(), Start: start,
		})
		h.Declare(keys...)
		return h
	}
	var causes []histogram.Key
	for _, cause := range endCauses {
		causes = append(causes, histogram.Key{cause.String()})
	}
	return &LeaseTally{
		naming:    naming,
		mounts:    map[string]*mountTally{},
		issued:    of("vault.lease.ttl.issued", "Time to live that leases were issued with.", "", histogram.Key{}),
		remaining: of("vault.lease.ttl.remaining", "Time until leases expire, of each lease once in each list.", "", histogram.Key{}),
		lifetime:  of("vault.lease.lifetime", "How long leases were there.", "vault.lease.end.cause", causes...),
	}
}

// leaseBounds returns bounds in seconds, from 1 s to 180 days.
func leaseBounds() []float64 {
	const minute, hour, day = 60, 3600, 86400
	return []float64{
		1, 5, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute,
		hour, 2 * hour, 4 * hour, 8 * hour, 12 * hour, day, 2 * day, 4 * day, 7 * day, 14 * day, 32 * day, 90 * day, 180 * day,
	}
}

// Take takes in what happened.
func (t *LeaseTally) Take(_ time.Time, effects []LeaseEffect) {
	mounts := t.naming.Mounts()
	for _, e := range effects {
		of := t.of(state.MountOf(e.Life.ID, mounts))
		switch e.Event {
		case state.LifeCreated:
			of.created++
			if e.Life.TTL > 0 {
				trace, span := leaseSpan(e.Life.ID)
				t.issued.Record(histogram.Key{}, e.Life.TTL.Seconds(), e.At, trace, span)
			}
		case state.LifeRenewed:
			of.renewed++
		case state.LifeEnded:
			of.ended[e.Life.Cause]++
			if s := lived(e.Life); s != unknown {
				trace, span := leaseSpan(e.Life.ID)
				t.lifetime.Record(histogram.Key{endCauses[e.Life.Cause].String()}, s, e.At, trace, span)
			}
		}
	}
}

func (t *LeaseTally) of(mount string) *mountTally {
	if _, known := t.mounts[mount]; !known && len(t.mounts) >= maxTallied {
		mount = otherMounts
	}
	of := t.mounts[mount]
	if of == nil {
		of = &mountTally{ended: map[state.EndCause]int64{}}
		t.mounts[mount] = of
	}
	return of
}

// Left takes in how long it is until a lease expires.
func (t *LeaseTally) Left(now time.Time, left time.Duration) {
	t.remaining.Record(histogram.Key{}, max(0, left.Seconds()), now, pcommon.TraceID{}, pcommon.SpanID{})
}

// Record records the counters.
func (t *LeaseTally) Record(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
	for mount, of := range t.mounts {
		mb.RecordVaultLeaseCreatedDataPoint(now, of.created, mount)
		mb.RecordVaultLeaseRenewalsDataPoint(now, of.renewed, mount)
		for cause, name := range endCauses {
			mb.RecordVaultLeaseEndedDataPoint(now, of.ended[cause], mount, name)
		}
	}
}

// AppendTo appends the histograms.
func (t *LeaseTally) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	for _, h := range []*histogram.Histogram{t.issued, t.remaining, t.lifetime} {
		h.AppendTo(metrics, now)
	}
}

// expiries are the steps of what is left.
var expiries = map[state.Expiry]metadata.AttributeVaultExpiry{
	state.ExpiryPassed:     metadata.AttributeVaultExpiryPassed,
	state.ExpiryMinute:     metadata.AttributeVaultExpiryMinute,
	state.ExpiryTenMinutes: metadata.AttributeVaultExpiryTenMinutes,
	state.ExpiryHour:       metadata.AttributeVaultExpiryHour,
	state.ExpiryDay:        metadata.AttributeVaultExpiryDay,
	state.ExpiryWeek:       metadata.AttributeVaultExpiryWeek,
	state.ExpiryLater:      metadata.AttributeVaultExpiryLater,
	state.ExpiryNever:      metadata.AttributeVaultExpiryNever,
}

// RecordLeaseCounts records how many leases there are under the prefixes, which
// are counted by mount, or all as one.
func RecordLeaseCounts(mb *metadata.MetricsBuilder, now pcommon.Timestamp, counts state.RosterCounts) {
	followed := map[state.Expiry]int64{}
	for standing, n := range counts.Followed {
		followed[standing.Expiry] += n
	}
	for expiry, name := range expiries {
		mb.RecordVaultLeaseFollowedCountDataPoint(now, followed[expiry], name)
	}
	for mount, n := range byMount(counts).Groups {
		if mount != "" {
			mb.RecordVaultLeaseMountCountDataPoint(now, n, mount)
		}
	}
	mb.RecordVaultLeaseUnreadCountDataPoint(now, counts.Unread)
	mb.RecordVaultLeaseUnfollowedCountDataPoint(now, counts.Unfollowed)
}
