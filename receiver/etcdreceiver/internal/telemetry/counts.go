// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// RecordCounts records what is counted of keys, locks and elections, by prefix.
// Where a prefix is not current, what there is now is left out, and what has
// happened so far is not.
func RecordCounts(mb *metadata.MetricsBuilder, now pcommon.Timestamp, c state.Counts, current func(prefix string) bool) {
	for prefix, of := range c.Keys {
		name := text(prefix)
		if current(prefix) {
			mb.RecordEtcdKeyCountDataPoint(now, of.Keys, name)
			mb.RecordEtcdKeySizeDataPoint(now, of.Size, name)
		}
		mb.RecordEtcdKeyChangesDataPoint(now, of.Puts, metadata.AttributeEtcdKeyChangePut, name)
		mb.RecordEtcdKeyChangesDataPoint(now, of.Deletes, metadata.AttributeEtcdKeyChangeDelete, name)
	}
	for prefix, of := range c.Locks {
		name := text(prefix)
		if current(prefix) {
			mb.RecordEtcdLockWaiterCountDataPoint(now, of.Waiting, name)
			mb.RecordEtcdLockHolderCountDataPoint(now, of.Holding, name)
		}
		mb.RecordEtcdLockAcquisitionsDataPoint(now, of.Acquired, name)
		mb.RecordEtcdLockAbandonmentsDataPoint(now, of.Abandoned, name)
	}
	for prefix, of := range c.Elections {
		name := text(prefix)
		if current(prefix) {
			mb.RecordEtcdElectionCandidateCountDataPoint(now, of.Waiting, name)
			mb.RecordEtcdElectionLeaderCountDataPoint(now, of.Holding, name)
		}
		mb.RecordEtcdElectionElectionsDataPoint(now, of.Acquired, name)
	}
	if len(c.Keys)+len(c.Locks)+len(c.Elections) > 0 {
		mb.RecordEtcdUnobservedCountDataPoint(now, c.KeysBeyond, metadata.AttributeEtcdObjectKey)
	}
}

// RecordLeases records what is counted of leases: their number, and the rest if
// each is followed. What there is now is left out unless it is current.
func RecordLeases(mb *metadata.MetricsBuilder, now pcommon.Timestamp, c state.LeaseCounts, followed, current bool) {
	if current {
		mb.RecordEtcdLeaseCountDataPoint(now, c.Alive)
	}
	if !followed {
		return
	}
	if current {
		mb.RecordEtcdLeaseKeyCountDataPoint(now, c.Keys)
	}
	mb.RecordEtcdLeaseGrantsDataPoint(now, c.Granted)
	for cause, ended := range c.Ended {
		mb.RecordEtcdLeaseEndsDataPoint(now, ended, leaseCauses[cause])
	}
	mb.RecordEtcdUnobservedCountDataPoint(now, c.Beyond, metadata.AttributeEtcdObjectLease)
}
