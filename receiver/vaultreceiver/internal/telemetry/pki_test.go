// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const issuerID = "d66d6288-e036-5695-2694-2081c3134cc2"

// tellPKI renders the course of a certificate, an issuer and its list.
func tellPKI(t *testing.T, lifetimes bool) watch.Telemetry {
	t.Helper()
	serial, ok := state.ParseSerial("11:63:93:0f")
	require.True(t, ok)
	other, ok := state.ParseSerial("11:63:93:10")
	require.True(t, ok)
	start := time.Unix(1_000_000, 0)
	of := func(event state.PKIEvent, serial state.Serial, after time.Duration) state.PKIEffect {
		return state.PKIEffect{
			Event: event, At: start.Add(after), Serial: serial, Role: "web", IssuerID: issuerID, IssuerName: "root",
			NotBefore: start, End: start.Add(time.Hour),
		}
	}
	expiring, superseded := of(state.CertificateExpiring, serial, 45*time.Minute), of(state.CertificateExpiring, other, 45*time.Minute)
	expiring.Left, superseded.Left, superseded.Superseded, superseded.Role = 15*time.Minute, 15*time.Minute, true, ""
	revoked, ended := of(state.CertificateRevoked, other, 50*time.Minute), of(state.CertificateEnded, other, 50*time.Minute)
	ended.End, ended.Revoked, ended.Reconciled, revoked.Reconciled = start.Add(50*time.Minute), true, true, true
	ended.Role, revoked.Role, ended.IssuerID, ended.IssuerName = "", "", "", ""
	effects := []state.PKIEffect{
		of(state.CertificateStarted, serial, 0), expiring, superseded, revoked, ended,
		{Event: state.CRLExpiring, At: start.Add(50 * time.Minute), Left: 9 * time.Hour, IssuerID: issuerID, IssuerName: "root"},
		{Event: state.CAExpiring, At: start.Add(50 * time.Minute), Left: -time.Hour, IssuerID: issuerID},
		of(state.CertificateEnded, serial, time.Hour),
	}
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	return story.RenderPKI(start.Add(time.Hour), resource(), []PKIStory{
		{Cluster: clusterID, Mount: "pki/", Lifetimes: lifetimes, Effects: effects}, {Cluster: clusterID, Mount: "idle/"},
	})
}

func TestTheStoryOfPKI(t *testing.T) {
	told := tellPKI(t, true)
	goldentest.Logs(t, "certificates and issuers expire", told.Logs)
	goldentest.Traces(t, "certificates and issuers expire", told.Traces)
}

func TestTheStoryOfPKIWithoutSpans(t *testing.T) {
	told := tellPKI(t, false)
	require.Zero(t, told.Traces.SpanCount())
	require.Equal(t, 5, told.Logs.LogRecordCount())
	for _, record := range told.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		require.True(t, record.SpanID().IsEmpty(), "there is no span that it belongs to")
	}
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	silence := story.RenderPKI(time.Unix(1_000_000, 0), resource(), []PKIStory{{Mount: "pki/"}})
	require.Zero(t, silence.Logs.ResourceLogs().Len())
}

func TestMetricsOfPKI(t *testing.T) {
	counts := state.PKICounts{
		CertificatesKnown: true, Unfollowed: 2, Unread: 3, Roles: []string{"", "idle", "web"},
		Certificates: []state.CertificateCount{
			{Role: "", Expiry: state.ExpiryPassed, Count: 4}, {Role: "", Expiry: state.ExpiryNever, Count: 1}, {Role: "web", Expiry: state.ExpiryMinute, Count: 1},
			{Role: "web", Expiry: state.ExpiryTenMinutes, Count: 2}, {Role: "web", Expiry: state.ExpiryHour, Count: 3}, {Role: "web", Expiry: state.ExpiryDay, Count: 4},
			{Role: "web", Expiry: state.ExpiryWeek, Count: 5}, {Role: "web", Expiry: state.ExpiryLater, Count: 6},
		},
		Expiry:       []state.RoleExpiry{{Role: "web", Left: 1500 * time.Millisecond}},
		RevokedKnown: true, Revoked: 7,
		Authorities: []state.IssuerExpiry{{ID: issuerID, Name: "root", Left: time.Hour}},
		Lists:       []state.IssuerExpiry{{ID: issuerID, Name: "root", Left: -time.Second}},
	}
	goldentest.Metrics(t, "metrics of a PKI mount", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) { RecordPKI(mb, now, "pki/", counts) }))
	require.Zero(t, metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordPKI(mb, now, "pki/", state.PKICounts{})
	}).DataPointCount())
}
