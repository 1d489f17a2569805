// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// outcome is what became of an entry.
type outcome int

const (
	accepted outcome = iota
	malformed
	tooLong
	cut
	dropped
	ownRequest
	probe
	outcomes
)

// outcomeNames are how the metrics call them.
var outcomeNames = [outcomes]metadata.AttributeVaultAuditOutcome{
	accepted:   metadata.AttributeVaultAuditOutcomeAccepted,
	malformed:  metadata.AttributeVaultAuditOutcomeMalformed,
	tooLong:    metadata.AttributeVaultAuditOutcomeTooLong,
	cut:        metadata.AttributeVaultAuditOutcomeCut,
	dropped:    metadata.AttributeVaultAuditOutcomeDropped,
	ownRequest: metadata.AttributeVaultAuditOutcomeOwn,
	probe:      metadata.AttributeVaultAuditOutcomeProbe,
}

func (s *auditStream) count(o outcome) { s.outcomes[o].Add(1) }

// record records what was received; the watcher is locked.
func (s *auditStream) record(mb *metadata.MetricsBuilder, now time.Time) {
	ts := pcommon.NewTimestampFromTime(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for o, name := range outcomeNames {
		mb.RecordVaultAuditEntriesDataPoint(ts, s.outcomes[o].Load(), name)
	}
	mb.RecordVaultAuditEntriesDataPoint(ts, s.pairing.Repeated(), metadata.AttributeVaultAuditOutcomeRepeated)
	mb.RecordVaultAuditWaitingCountDataPoint(ts, int64(s.pairing.Waiting()))
	mb.RecordVaultAuditUnpairedDataPoint(ts, s.halves[0], metadata.AttributeVaultRequestHalfRequest)
	mb.RecordVaultAuditUnpairedDataPoint(ts, s.halves[1], metadata.AttributeVaultRequestHalfResponse)
	if s.cfg.listens() || s.cfg.serves() {
		mb.RecordVaultAuditConnectionCountDataPoint(ts, s.connections.Load())
	}
}

func (s *auditStream) appendTo(metrics pmetric.MetricSlice, now time.Time) {
	s.tally.AppendTo(metrics, pcommon.NewTimestampFromTime(now))
}
