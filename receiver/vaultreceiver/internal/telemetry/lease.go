// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// SpanLease is the name of the span of a lease, from its issue until its end.
const SpanLease = "vault.lease"

// unknown is a number of seconds that is not known, and is left out.
const unknown = -1

// LeaseEffect is what happened to a lease.
type LeaseEffect = state.LifeEffect[state.LeaseDetail]

// LeaseNaming is how leases are named in what is told.
type LeaseNaming struct {
	Mounts  func() []string // the paths of the mounts that are known
	FullIDs bool            // else a hash stands for the ID
}

var endCauses = map[state.EndCause]metadata.AttributeVaultLeaseEndCause{
	state.EndUnknown: metadata.AttributeVaultLeaseEndCauseUnknown,
	state.EndRevoked: metadata.AttributeVaultLeaseEndCauseRevoked,
	state.EndExpired: metadata.AttributeVaultLeaseEndCauseExpired,
}

var endConfidences = map[state.EndConfidence]metadata.AttributeVaultLeaseEndConfidence{
	state.NotConfident: metadata.AttributeVaultLeaseEndConfidenceNone,
	state.Likely:       metadata.AttributeVaultLeaseEndConfidenceLikely,
	state.Certain:      metadata.AttributeVaultLeaseEndConfidenceCertain,
}

// leaseTeller renders what happened to leases.
type leaseTeller struct {
	mounts  []string
	fullIDs bool
	spans   ptrace.SpanSlice
}

// RenderLeases returns the events of what happened to leases, the spans of those
// that ended, and the markers of those that were issued.
func (s *Story) RenderLeases(observed time.Time, resource pcommon.Resource, naming LeaseNaming, effects []LeaseEffect) watch.Telemetry {
	told := watch.EmptyTelemetry()
	if len(effects) == 0 {
		return told
	}
	t := &leaseTeller{mounts: naming.Mounts(), fullIDs: naming.FullIDs, spans: ptrace.NewSpanSlice()}
	records := make([]func(*metadata.LogsBuilder), len(effects))
	for i, e := range effects {
		records[i] = t.tell(e)
	}
	told.Logs = s.logs(observed, resource, describeLease, records...)
	told.Traces = period.Traces(t.spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version)
	return told
}

// tell appends the span, and returns what records the event.
func (t *leaseTeller) tell(e LeaseEffect) func(*metadata.LogsBuilder) {
	l := e.Life
	name := state.NameLease(l.ID, t.mounts)
	hash, id := t.identify(l.ID)
	p := t.lifetime(l, name)
	ctx, at := p.Context(), pcommon.NewTimestampFromTime(e.At)
	return func(logs *metadata.LogsBuilder) {
		switch e.Event {
		case state.LifeCreated:
			p.AppendStart(t.spans)
			logs.RecordVaultLeaseCreatedEvent(ctx, at, name.Mount, name.Prefix, name.Role, hash, id, known(l.TTL), e.Reconciled)
		case state.LifeRenewed:
			logs.RecordVaultLeaseRenewedEvent(ctx, at, name.Mount, name.Prefix, name.Role, hash, id, known(l.Renewals[len(l.Renewals)-1].TTL))
		case state.LifeExpiring:
			logs.RecordVaultLeaseExpiringEvent(ctx, at, name.Mount, name.Prefix, name.Role, hash, id, max(0, l.Expected.Sub(e.At).Seconds()))
		case state.LifeIrrevocable:
			logs.RecordVaultLeaseIrrevocableEvent(ctx, at, name.Mount, name.Prefix, name.Role, hash, id)
		case state.LifeEnded:
			p.Reconciled = e.Reconciled
			p.Append(t.spans)
			logs.RecordVaultLeaseEndedEvent(ctx, at, name.Mount, name.Prefix, name.Role, hash, id,
				endCauses[l.Cause], endConfidences[l.Confidence], lived(l), e.Reconciled)
		}
	}
}

// identify returns the hash of an ID, and the ID if it is to be told.
func (t *leaseTeller) identify(lease string) (hash, id string) {
	if t.fullIDs {
		id = lease
	}
	return state.HashOf(lease), id
}

// lived returns for how many seconds a lease was there.
func lived(l state.Lease) float64 {
	if l.Issued.IsZero() {
		return unknown
	}
	return max(0, l.Ended.Sub(l.Issued).Seconds())
}

func known(d time.Duration) float64 {
	if d <= 0 {
		return unknown
	}
	return d.Seconds()
}

// lifetime makes the period of a lease. Its IDs are functions of that of the
// lease alone, so whoever sees the lease makes the same.
func (t *leaseTeller) lifetime(l state.Lease, name state.LeaseName) period.Period {
	key := []string{SpanLease, l.ID}
	p := period.Period{
		Name: SpanLease, Trace: key, Key: key, Start: l.Start(), End: l.Ended, BeganBefore: l.BeganBefore,
		DroppedEvents: l.DroppedRenewals,
		Attributes: func(attrs pcommon.Map) {
			hash, id := t.identify(l.ID)
			attrs.PutStr("vault.mount.path", name.Mount)
			putKnown(attrs, "vault.lease.prefix", name.Prefix)
			putKnown(attrs, "vault.lease.role", name.Role)
			attrs.PutStr("vault.lease.hash", hash)
			putKnown(attrs, "vault.lease.id", id)
			if l.TTL > 0 {
				attrs.PutDouble("vault.lease.ttl", l.TTL.Seconds())
			}
			if !l.Ended.IsZero() {
				attrs.PutStr("vault.lease.end.cause", endCauses[l.Cause].String())
				attrs.PutStr("vault.lease.end.confidence", endConfidences[l.Confidence].String())
			}
		},
	}
	for _, renewal := range l.Renewals {
		p.Events = append(p.Events, period.Event{Time: renewal.At, Name: "renewed", Attributes: func(attrs pcommon.Map) {
			if renewal.TTL > 0 {
				attrs.PutDouble("vault.lease.ttl", renewal.TTL.Seconds())
			}
		}})
	}
	if origin := l.Detail.Origin; origin != nil {
		p.Links = leadTo(*origin)
	}
	if l.Detail.Irrevocable {
		p.StatusMessage = "vault could not revoke the lease"
	}
	return p
}

func describeLease(event plog.LogRecord) (plog.SeverityNumber, string) {
	event.Attributes().RemoveIf(func(_ string, value pcommon.Value) bool {
		return value.Type() == pcommon.ValueTypeDouble && value.Double() == unknown
	})
	text := func(name string) string {
		if value, ok := event.Attributes().Get(name); ok {
			return value.AsString()
		}
		return ""
	}
	lease := "a lease of " + text("vault.lease.prefix")
	switch event.EventName() {
	case "vault.lease.created":
		return plog.SeverityNumberInfo, lease + " was issued"
	case "vault.lease.renewed":
		return plog.SeverityNumberInfo, lease + " was renewed"
	case "vault.lease.expiring":
		return plog.SeverityNumberWarn, lease + " is about to expire"
	case "vault.lease.irrevocable":
		return plog.SeverityNumberError, lease + " cannot be revoked"
	}
	switch text("vault.lease.end.cause") {
	case "expired":
		return plog.SeverityNumberInfo, lease + " expired"
	case "revoked":
		return plog.SeverityNumberInfo, lease + " was revoked"
	}
	return plog.SeverityNumberInfo, lease + " ended"
}

// leaseSpan returns the IDs of the span of a lease.
func leaseSpan(id string) (pcommon.TraceID, pcommon.SpanID) {
	key := []string{SpanLease, id}
	p := period.Period{Trace: key, Key: key}
	return p.TraceID(), p.SpanID()
}
