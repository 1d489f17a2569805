// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// RecordLockedUsers records how many users are locked out, by the paths of the
// auth methods.
func RecordLockedUsers(mb *metadata.MetricsBuilder, now pcommon.Timestamp, byPath map[string]int64) {
	for path, n := range byPath {
		mb.RecordVaultLockedUserCountDataPoint(now, n, path)
	}
}

// RecordInFlight records the requests that are being handled.
func RecordInFlight(mb *metadata.MetricsBuilder, now pcommon.Timestamp, requests state.InFlight) {
	mb.RecordVaultRequestInFlightCountDataPoint(now, requests.Count)
	mb.RecordVaultRequestInFlightAgeDataPoint(now, requests.Age().Seconds())
}

// RecordClients records the clients of the month, where Vault counts them.
func RecordClients(mb *metadata.MetricsBuilder, now pcommon.Timestamp, clients state.Clients) {
	if !clients.Counted {
		return
	}
	mb.RecordVaultClientCountDataPoint(now, clients.ACME, metadata.AttributeVaultClientTypeAcme)
	mb.RecordVaultClientCountDataPoint(now, clients.Entity, metadata.AttributeVaultClientTypeEntity)
	mb.RecordVaultClientCountDataPoint(now, clients.NonEntity, metadata.AttributeVaultClientTypeNonEntity)
	mb.RecordVaultClientCountDataPoint(now, clients.SecretSynced, metadata.AttributeVaultClientTypeSecretSync)
}
