// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// RecordCounts records what is counted of keys, locks and elections, by prefix,
// and of leases: their number if they are counted, and the rest if each is
// followed.
func RecordCounts(mb *metadata.MetricsBuilder, now pcommon.Timestamp, c state.Counts, leasesCounted, leasesFollowed bool) {
	for prefix, of := range c.Keys {
		prefix = text(prefix)
		mb.RecordEtcdKeyCountDataPoint(now, of.Keys, prefix)
		mb.RecordEtcdKeySizeDataPoint(now, of.Size, prefix)
		mb.RecordEtcdKeyChangesDataPoint(now, of.Puts, metadata.AttributeEtcdKeyChangePut, prefix)
		mb.RecordEtcdKeyChangesDataPoint(now, of.Deletes, metadata.AttributeEtcdKeyChangeDelete, prefix)
	}
	for prefix, of := range c.Locks {
		prefix = text(prefix)
		mb.RecordEtcdLockWaiterCountDataPoint(now, of.Waiting, prefix)
		mb.RecordEtcdLockHolderCountDataPoint(now, of.Holding, prefix)
		mb.RecordEtcdLockAcquisitionsDataPoint(now, of.Acquired, prefix)
		mb.RecordEtcdLockAbandonmentsDataPoint(now, of.Abandoned, prefix)
	}
	for prefix, of := range c.Elections {
		prefix = text(prefix)
		mb.RecordEtcdElectionCandidateCountDataPoint(now, of.Waiting, prefix)
		mb.RecordEtcdElectionLeaderCountDataPoint(now, of.Holding, prefix)
		mb.RecordEtcdElectionElectionsDataPoint(now, of.Acquired, prefix)
	}
	if leasesCounted {
		mb.RecordEtcdLeaseCountDataPoint(now, c.Leases.Alive)
	}
	if leasesFollowed {
		mb.RecordEtcdLeaseKeyCountDataPoint(now, c.Leases.Keys)
		mb.RecordEtcdLeaseGrantsDataPoint(now, c.Leases.Granted)
		for cause, ended := range c.Leases.Ended {
			mb.RecordEtcdLeaseEndsDataPoint(now, ended, leaseCauses[cause])
		}
		mb.RecordEtcdUnobservedCountDataPoint(now, c.Leases.Beyond, metadata.AttributeEtcdObjectLease)
	}
	if len(c.Keys)+len(c.Locks)+len(c.Elections) > 0 {
		mb.RecordEtcdUnobservedCountDataPoint(now, c.KeysBeyond, metadata.AttributeEtcdObjectKey)
	}
}
