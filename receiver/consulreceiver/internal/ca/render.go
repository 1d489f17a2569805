// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders a change as an event.
func Render(r *collect.Renderer, c snapshot.Change[string, Root]) {
	if c.Removed || c.Prev.ID == c.Next.ID {
		return
	}
	r.Event(plog.SeverityNumberInfo, "root certificate "+c.Next.ID+" is active", func(b *metadata.LogsBuilder) {
		b.RecordConsulCaRootRotatedEvent(context.Background(), r.Now, c.Next.ID, c.Prev.ID, c.Initial, c.Reconciled)
	})
}

// RecordRoot records when the active root certificate and the signing one expire.
func RecordRoot(m collect.Metrics, root Root) {
	m.RecordConsulCaRootExpiryTimestampDataPoint(m.TS(), collect.UnixSeconds(root.NotAfter))
	if !root.SigningNotAfter.IsZero() {
		m.RecordConsulCaSigningCertificateExpiryTimestampDataPoint(m.TS(), collect.UnixSeconds(root.SigningNotAfter))
	}
}
