// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package acltoken

import (
	"context"
	"strconv"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders the warnings as events.
func Render(r *collect.Renderer, expiring []Expiring) {
	for _, e := range expiring {
		left := e.Left.Seconds()
		line := "the token of the receiver expires in " + strconv.FormatFloat(left, 'f', -1, 64) + " s"
		r.Event(plog.SeverityNumberWarn, line, func(b *metadata.LogsBuilder) {
			b.RecordConsulACLTokenExpiringEvent(context.Background(), r.Now, e.Accessor, collect.UnixSeconds(e.Expires))
		})
	}
}

// RecordToken records when the receiver's own token expires, if it does.
func RecordToken(m collect.Metrics, token Token) {
	if !token.Expires.IsZero() {
		m.RecordConsulACLTokenExpiryTimestampDataPoint(m.TS(), collect.UnixSeconds(token.Expires))
	}
}
