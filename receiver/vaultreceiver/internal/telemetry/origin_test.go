// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestWhichExchangesIssueLeases(t *testing.T) {
	asked, answered := time.Unix(1000, 0), time.Unix(1001, 0)
	token := audit.Mount{Path: "auth/token/", Type: "token"}
	named := audit.Entry{Path: "pki/issue/web", Mount: audit.Mount{Path: "pki/", Type: "pki"}, LeasePrefix: "pki/issue/web", LeaseHash: "9f8"}
	for name, tc := range map[string]struct {
		response audit.Entry
		half     bool
		want     bool
	}{
		"a certificate":             {named, false, true},
		"its response alone":        {named, true, true},
		"a login":                   {audit.Entry{Path: "auth/app/login", Unnamed: true}, false, true},
		"the response of one alone": {audit.Entry{Path: "auth/app/login", Unnamed: true}, true, false},
		"a token":                   {audit.Entry{Path: "auth/token/create", Mount: token, Unnamed: true}, false, true},
		"the renewal of a token":    {audit.Entry{Path: "auth/token/renew-self", Mount: token, Unnamed: true}, false, false},
		"a secret":                  {audit.Entry{Path: "kv/a"}, false, false},
		"what has failed":           {audit.Entry{Path: "pki/issue/web", LeasePrefix: "pki/issue/web", LeaseHash: "9f8", Failure: audit.Other}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := audit.Exchange{Response: &tc.response}
			e.Response.Kind, e.Response.ID, e.Response.Time = audit.Response, "9f8", answered
			var from time.Time
			if !tc.half {
				from = asked
				e.Request = &audit.Entry{Kind: audit.Request, ID: "9f8", Time: asked}
			}
			x := &Exchanges{Trust: TrustParent}
			issue, ok := x.Issued(e)
			require.Equal(t, tc.want, ok)
			if !ok {
				return
			}
			trace, span := x.SpanIDs(e)
			assert.Equal(t, state.Issue{
				Trace: trace.String(), Span: span.String(), Path: tc.response.Path, Prefix: tc.response.LeasePrefix, Hash: tc.response.LeaseHash,
				From: from, Until: answered,
			}, issue)
		})
	}
}

func TestARealVaultIssuesLeases(t *testing.T) {
	x := &Exchanges{Trust: TrustParent}
	issued := map[string]state.Issue{}
	for _, e := range exchangesOfARealVault(t) {
		if issue, ok := x.Issued(e); ok {
			issued[issue.Path] = issue
		}
	}
	require.Contains(t, issued, "pki/issue/web")
	assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", issued["pki/issue/web"].Trace, "the caller's")
	require.Contains(t, issued, "auth/userpass/login/ann")
	assert.Empty(t, issued["auth/userpass/login/ann"].Hash)
	for path := range issued {
		assert.NotContains(t, path, "kv/")
	}
}

func TestWhatIsStoredIsNoLinkUnlessItIsOfIDs(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	assert.Len(t, leadTo(state.Origin{Trace: trace, Span: span}), 1)
	for _, origin := range []state.Origin{
		{}, {Trace: trace}, {Span: span}, {Trace: span, Span: trace}, {Trace: trace[1:], Span: span}, {Trace: "planted", Span: span}, {Trace: trace, Span: "z" + span[1:]},
	} {
		assert.Empty(t, leadTo(origin), origin)
	}
}
