// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// RecordUp records whether the server answered.
func RecordUp(mb *metadata.MetricsBuilder, now pcommon.Timestamp, up bool) {
	mb.RecordVaultUpDataPoint(now, number(up))
}

// RecordServer records the state of the server.
func RecordServer(mb *metadata.MetricsBuilder, now pcommon.Timestamp, s state.Server) {
	mb.RecordVaultInitializedDataPoint(now, number(s.Initialized))
	mb.RecordVaultSealedDataPoint(now, number(s.Sealed))
	mb.RecordVaultActiveDataPoint(now, number(s.Active()))
	mb.RecordVaultInfoDataPoint(now, 1, s.Version)
}

// RecordLeases records the number of leases.
func RecordLeases(mb *metadata.MetricsBuilder, now pcommon.Timestamp, leases int64) {
	mb.RecordVaultLeaseCountDataPoint(now, leases)
}

// RecordIrrevocableLeases records the number of leases that cannot be revoked.
func RecordIrrevocableLeases(mb *metadata.MetricsBuilder, now pcommon.Timestamp, leases int64) {
	mb.RecordVaultLeaseIrrevocableCountDataPoint(now, leases)
}

func number(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
