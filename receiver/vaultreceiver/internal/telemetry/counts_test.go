// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestMetricsOfWhatVaultKeeps(t *testing.T) {
	kv := state.Mount{Type: "kv", Version: "2", PluginVersion: "v0.21.0+builtin"}
	goldentest.Metrics(t, "metrics of what Vault keeps", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordMounts(mb, now, metadata.AttributeVaultMountClassSecret, state.Mounts{"1": kv, "2": kv, "3": {Type: "kv"}})
		RecordMounts(mb, now, metadata.AttributeVaultMountClassAuth, state.Mounts{"4": {Type: "token", PluginVersion: "v1.19.5+builtin.vault"}})
		policies := state.ListedPolicies([]string{"default", "root", "team/app"}, 2)
		policies.Read("default", "rules")
		RecordPolicies(mb, now, policies)
		RecordLockedUsers(mb, now, map[string]int64{"auth/userpass/": 2, "auth/approle/": 0})
		began := time.Unix(1_000_000, 0)
		RecordInFlight(mb, now, state.InFlight{}.With("/v1/kv/data/a", began).With("/v1/sys/in-flight-req", began.Add(1500*time.Millisecond)))
		RecordClients(mb, now, state.Clients{Counted: true, ACME: 1, Entity: 2, NonEntity: 3, SecretSynced: 4})
	}))
	require.Zero(t, metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordClients(mb, now, state.Clients{})
	}).DataPointCount(), "they are not counted")
}
