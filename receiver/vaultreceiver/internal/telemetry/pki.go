// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// SpanCertificate is the name of the span of the life of a certificate.
const SpanCertificate = "vault.pki.certificate"

// RecordPKI records what is known of a PKI mount.
func RecordPKI(mb *metadata.MetricsBuilder, now pcommon.Timestamp, mount string, counts state.PKICounts) {
	if counts.CertificatesKnown {
		recordCertificates(mb, now, mount, counts)
		for _, e := range counts.Expiry {
			mb.RecordVaultPkiCertificateExpiryDataPoint(now, e.Left.Seconds(), mount, e.Role)
		}
		mb.RecordVaultPkiCertificateUnfollowedCountDataPoint(now, int64(counts.Unfollowed), mount)
		mb.RecordVaultPkiCertificateUnreadCountDataPoint(now, int64(counts.Unread), mount)
	}
	if counts.RevokedKnown {
		mb.RecordVaultPkiRevokedCountDataPoint(now, int64(counts.Revoked), mount)
	}
	for _, e := range counts.Authorities {
		mb.RecordVaultPkiCaExpiryDataPoint(now, e.Left.Seconds(), mount, e.ID, e.Name)
	}
	for _, e := range counts.Lists {
		mb.RecordVaultPkiCrlExpiryDataPoint(now, e.Left.Seconds(), mount, e.ID, e.Name)
	}
}

// recordCertificates records each number, so that one reaches 0 rather than
// being told no more.
func recordCertificates(mb *metadata.MetricsBuilder, now pcommon.Timestamp, mount string, counts state.PKICounts) {
	type kind struct {
		role   string
		expiry state.Expiry
	}
	found := map[kind]int{}
	for _, c := range counts.Certificates {
		found[kind{c.Role, c.Expiry}] = c.Count
	}
	for _, role := range counts.Roles {
		for expiry, name := range expiries {
			mb.RecordVaultPkiCertificateCountDataPoint(now, int64(found[kind{role, expiry}]), mount, role, name)
		}
	}
}

// PKIStory is what is to be told of one PKI mount.
type PKIStory struct {
	Cluster, Mount string
	Lifetimes      bool // as spans
	Effects        []state.PKIEffect
}

// RenderPKI returns the events of certificates, issuers and revocation lists, and
// the spans of certificates.
func (s *Story) RenderPKI(observed time.Time, resource pcommon.Resource, mounts []PKIStory) watch.Telemetry {
	told := watch.EmptyTelemetry()
	var records []func(*metadata.LogsBuilder)
	spans := ptrace.NewSpanSlice()
	for _, m := range mounts {
		for _, e := range m.Effects {
			ctx := context.Background()
			if m.Lifetimes && e.Serial != (state.Serial{}) {
				life := m.life(e)
				ctx = life.Context()
				switch e.Event {
				case state.CertificateStarted:
					life.AppendStart(spans)
				case state.CertificateEnded:
					life.Append(spans)
				}
			}
			records = append(records, func(logs *metadata.LogsBuilder) { recordPKI(ctx, logs, m.Mount, e) })
		}
	}
	if len(records) > 0 {
		told.Logs = s.logs(observed, resource, describePKI, records...)
		told.Traces = period.Traces(spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version)
	}
	return told
}

// life makes the span of a certificate. A certificate has one in its cluster,
// whoever tells it and how often.
func (m PKIStory) life(e state.PKIEffect) period.Period {
	key := []string{SpanCertificate, m.Cluster, m.Mount, e.Serial.String()}
	return period.Period{
		Name: SpanCertificate, Trace: key, Key: key,
		Start: e.NotBefore, End: e.End, Reconciled: e.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("vault.mount.path", m.Mount)
			attrs.PutStr("vault.pki.certificate.serial", e.Serial.String())
			putKnown(attrs, "vault.pki.role", e.Role)
			putKnown(attrs, "vault.issuer.id", e.IssuerID)
			putKnown(attrs, "vault.issuer.name", e.IssuerName)
			if e.Event == state.CertificateEnded {
				attrs.PutBool("vault.pki.revoked", e.Revoked)
			}
		},
	}
}

func recordPKI(ctx context.Context, logs *metadata.LogsBuilder, mount string, e state.PKIEffect) {
	at := pcommon.NewTimestampFromTime(e.At)
	switch e.Event {
	case state.CertificateExpiring:
		logs.RecordVaultPkiCertificateExpiringEvent(ctx, at, mount, e.Role, e.Serial.String(), e.Left.Seconds(), e.Superseded)
	case state.CertificateRevoked:
		logs.RecordVaultPkiCertificateRevokedEvent(ctx, at, mount, e.Role, e.Serial.String(), e.Reconciled)
	case state.CAExpiring:
		logs.RecordVaultPkiCaExpiringEvent(ctx, at, mount, e.IssuerID, e.IssuerName, e.Left.Seconds())
	case state.CRLExpiring:
		logs.RecordVaultPkiCrlExpiringEvent(ctx, at, mount, e.IssuerID, e.IssuerName, e.Left.Seconds())
	}
}

func describePKI(event plog.LogRecord) (plog.SeverityNumber, string) {
	text := func(name string) string {
		if value, ok := event.Attributes().Get(name); ok {
			return value.AsString()
		}
		return ""
	}
	mount := text("vault.mount.path")
	ends := "ends"
	if left, ok := event.Attributes().Get("vault.pki.left"); ok {
		ends = "ends in " + time.Duration(left.Double()*float64(time.Second)).Round(time.Second).String()
		if left.Double() < 0 {
			ends = "has ended"
		}
	}
	certificate := "certificate " + text("vault.pki.certificate.serial") + " of " + mount
	issuer := "issuer " + text("vault.issuer.id") + " of " + mount
	switch event.EventName() {
	case "vault.pki.certificate.revoked":
		return plog.SeverityNumberInfo, certificate + " was revoked"
	case "vault.pki.ca.expiring":
		return plog.SeverityNumberWarn, "the certificate of " + issuer + " " + ends
	case "vault.pki.crl.expiring":
		return plog.SeverityNumberWarn, "the revocation list of " + issuer + " " + ends
	}
	if superseded, ok := event.Attributes().Get("vault.pki.superseded"); ok && superseded.Bool() {
		return plog.SeverityNumberInfo, certificate + " " + ends + ", another one lasts longer"
	}
	return plog.SeverityNumberWarn, certificate + " " + ends
}
