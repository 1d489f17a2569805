// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// renewals begins the paths at which tokens are renewed, which issues nothing.
const renewals = "renew"

// Issued returns the request that an exchange is, if it has issued a lease. Without
// both times it is not known when, so only one that is named counts.
func (x *Exchanges) Issued(e audit.Exchange) (i state.Issue, ok bool) {
	r := e.Response
	switch {
	case r == nil:
		return i, false
	case r.Failure != audit.None:
		return i, false
	case r.LeaseHash != "":
	case !r.Unnamed, !e.Whole(), r.Mount.Type == "token" && strings.HasPrefix(r.Path, r.Mount.Path+renewals):
		return i, false
	}
	trace, span := x.SpanIDs(e)
	i = state.Issue{Trace: trace.String(), Span: span.String(), Path: r.Path, Prefix: r.LeasePrefix, Hash: r.LeaseHash, Until: r.Time}
	if e.Request != nil {
		i.From = e.Request.Time
	}
	return i, true
}

// leadTo returns the link to a request. There is none if the IDs, which may have
// been stored, are none.
func leadTo(origin state.Origin) []period.Link {
	var to period.Span
	trace, wrongTrace := hex.DecodeString(origin.Trace)
	span, wrongSpan := hex.DecodeString(origin.Span)
	if wrongTrace != nil || wrongSpan != nil || len(trace) != len(to.TraceID) || len(span) != len(to.SpanID) {
		return nil
	}
	to = period.Span{TraceID: pcommon.TraceID(trace), SpanID: pcommon.SpanID(span)}
	confidence := metadata.AttributeVaultLeaseEndConfidenceCertain
	if origin.Likely {
		confidence = metadata.AttributeVaultLeaseEndConfidenceLikely
	}
	return []period.Link{{Span: to, Attributes: func(attrs pcommon.Map) {
		attrs.PutStr("vault.lease.issue.confidence", confidence.String())
	}}}
}
