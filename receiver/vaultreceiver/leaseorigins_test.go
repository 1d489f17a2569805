// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// issuedBy is where the span of a lease leads to, and how sure that is.
type issuedBy struct {
	trace      pcommon.TraceID
	span       pcommon.SpanID
	confidence string
}

// leadsTo returns the links of the one span of a lease that has the name.
func leadsTo(t *testing.T, o *observedtest.Receiver, name, lease string) (links []issuedBy) {
	t.Helper()
	spans := o.Spans(name, "vault.lease.hash", hash(lease))
	require.Len(t, spans, 1, "%s of %s", name, lease)
	for _, link := range spans[0].Links().All() {
		links = append(links, issuedBy{link.TraceID(), link.SpanID(), text(link.Attributes(), "vault.lease.issue.confidence")})
	}
	return links
}

func by(request ptrace.Span, confidence string) []issuedBy {
	return []issuedBy{{request.TraceID(), request.SpanID(), confidence}}
}

func TestLeasesLeadToTheRequestsThatIssuedThem(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, following(t, vault.Addr, client))
	cfg.Leases.FullIDs = true
	newIssuer(t, client)
	dir := t.TempDir()
	o := startStored(t, cfg, dir)
	sendAudit(t, client, address)
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.lease.followed.count", "vault.expiry", "hour"))

	// The leases are seen only after the requests, which is else likely, not sure.
	require.NoError(t, client.Sys().PutPolicy("part", `path "none" { capabilities = ["read"] }`))
	lists := []string{endpointLease + "/pki/issue", endpointLease + "/auth"}
	for _, list := range lists {
		o.Eventually(t, "nothing is seen", o.HasEvent("vault.endpoint.denied", "vault.endpoint", list))
	}
	traced := &issuer{t, inTrace(t, client)}
	certificate := traced.certificate("1h")
	traced.login()
	traced.write("auth/token/create", map[string]any{"ttl": "1h"})
	traced.client.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	traced.write("pki/issue/web", map[string]any{"common_name": "b.example", "ttl": "1h"})
	requests := map[string]ptrace.Span{}
	for what, where := range map[string][]string{
		"named":   {"update pki/", "vault.request.path", "pki/issue/web", "vault.lease.hash", hash(certificate)},
		"login":   {"update auth/userpass/", "vault.request.path", "auth/userpass/login/ann"},
		"created": {"update auth/token/", "vault.request.path", "auth/token/create"},
	} {
		o.Eventually(t, what, o.HasSpan(where[0], where[1:]...))
		requests[what] = o.Spans(where[0], where[1:]...)[0]
	}
	o.Eventually(t, "what is wrapped", func() bool { return len(o.Spans("update pki/", "vault.request.path", "pki/issue/web")) == 2 })
	for _, span := range o.Spans("update pki/", "vault.request.path", "pki/issue/web") {
		if text(span.Attributes(), "vault.lease.hash") == "" {
			requests["wrapped"] = span
		}
	}
	for what, request := range requests {
		assert.Equal(t, callerTrace, request.TraceID().String(), what)
	}

	require.NoError(t, client.Sys().PutPolicy("part", policyOf(t, "Leases")))
	o.Eventually(t, "all leases", func() bool { return len(o.Events("vault.lease.created")) == 5 })
	want := map[string][]issuedBy{}
	for _, event := range o.Events("vault.lease.created") {
		lease := text(event.Attributes(), "vault.lease.id")
		switch text(event.Attributes(), "vault.lease.prefix") {
		case "pki/issue/web":
			want[lease] = by(requests["wrapped"], "likely") // The certificate, and what it is in.
		case "auth/userpass/login/ann":
			want[lease] = by(requests["login"], "likely")
		case "auth/token/create":
			want[lease] = by(requests["created"], "likely")
		}
	}
	require.Contains(t, want, certificate)
	want[certificate] = by(requests["named"], "certain")
	require.Len(t, want, 5)
	for lease, request := range want {
		assert.Equal(t, request, leadsTo(t, o, telemetry.SpanLease+".start", lease), lease)
	}
	o.Shutdown(t)

	o = startStored(t, cfg, dir)
	o.Eventually(t, "the leases are known", o.HasValue(0, "vault.lease.unread.count"))
	for lease := range want {
		require.NoError(t, client.Sys().Revoke(lease))
	}
	for lease, request := range want {
		o.Eventually(t, "the end", o.HasSpan(telemetry.SpanLease, "vault.lease.hash", hash(lease)))
		assert.Equal(t, request, leadsTo(t, o, telemetry.SpanLease, lease), lease)
	}
	o.Shutdown(t)
}

// Tokens are made at one path, many at a time. Their TTLs tell which is whose.
func TestNoTokenLeadsToTheRequestForAnother(t *testing.T) {
	const clients, each, firstTTL = 8, 15, 10_000
	vault, client := startVault(t)
	cfg, address := listening(t, following(t, vault.Addr, client))
	cfg.Leases.Prefixes = []string{"auth"}
	cfg.Leases.RequestsPerSecond = 1000
	o := observe(t, cfg)
	sendAudit(t, client, address)
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.lease.followed.count", "vault.expiry", "hour"))
	create := func(client *api.Client, number int) error {
		_, err := client.Auth().Token().Create(&api.TokenCreateRequest{TTL: fmt.Sprintf("%ds", firstTTL+10*number)})
		return err
	}
	var creating errgroup.Group
	for i := range clients {
		one, err := client.Clone()
		require.NoError(t, err)
		one.SetToken(client.Token())
		creating.Go(func() (err error) {
			for j := range each {
				err = errors.Join(err, create(one, clients*j+i))
			}
			return err
		})
	}
	require.NoError(t, creating.Wait())
	for i := range each {
		require.NoError(t, create(client, clients*each+i))
	}
	const all = clients*each + each
	o.Eventually(t, "all leases", func() bool { return len(o.Spans(telemetry.SpanLease+".start")) == all })
	o.Eventually(t, "all requests", func() bool {
		return len(o.Spans("update auth/token/", "vault.request.path", "auth/token/create")) == all
	})
	ttls := map[pcommon.SpanID]float64{}
	for _, request := range o.Spans("update auth/token/", "vault.request.path", "auth/token/create") {
		ttls[request.SpanID()] = number(t, request.Attributes(), "vault.token.ttl")
	}
	var atOnce, alone int // that are linked
	for _, lease := range o.Spans(telemetry.SpanLease + ".start") {
		for _, link := range lease.Links().All() {
			ttl := number(t, lease.Attributes(), "vault.lease.ttl")
			assert.InDelta(t, ttls[link.SpanID()], ttl, 2)
			if ttl < firstTTL+10*clients*each-5 {
				atOnce++
			} else {
				alone++
			}
		}
	}
	t.Logf("%d of %d made at once are linked, and %d of %d made one after the other", atOnce, clients*each, alone, each)
	assert.Positive(t, alone)
}

// exchange is what a device sends of a request that took the last hour.
func exchange(id, path, response string) (request, answer string) {
	line := func(kind string, at time.Time, more string) string {
		return fmt.Sprintf(`{"type":%q,"time":%q,"request":{"id":%q,"operation":"update","path":%q,"mount_point":"pki/"}%s}`,
			kind, at.Format(time.RFC3339Nano), id, path, more) + "\n"
	}
	return line("request", time.Now().Add(-time.Hour), ""), line("response", time.Now(), `,"response":`+response)
}

func TestARequestIsToldLaterThanItsLease(t *testing.T) {
	const (
		named, wrapped, doubtful = "pki/issue/named/a", "pki/issue/wrapped/a", "pki/issue/doubtful/a"
		wrap                     = `{"wrap_info":{"ttl":300}}`
	)
	vault := newLeasesFake(t, "pki/issue/web/old")
	dir := t.TempDir()
	cfg, address := listening(t, vault.followed())
	o := startStored(t, cfg, dir)
	o.Eventually(t, "the baseline", known(o, 1))
	all := []string{"pki/issue/web/old", named, wrapped, doubtful}
	vault.say(all...)
	for _, lease := range all[1:] {
		o.Eventually(t, "it is told", o.HasSpan(telemetry.SpanLease+".start", "vault.lease.hash", hash(lease)))
		assert.Empty(t, leadsTo(t, o, telemetry.SpanLease+".start", lease), "the request is not known yet")
	}

	var device net.Conn
	o.Eventually(t, "it listens", func() (ok bool) { var err error; device, err = net.Dial("tcp", address); return err == nil })
	defer func() { _ = device.Close() }()
	var said strings.Builder
	for _, e := range [][3]string{
		{"1", "pki/issue/named", `{"secret":{"lease_id":"` + named + `"}}`}, {"2", "sys/leases/renew", `{"secret":{"lease_id":"` + named + `"}}`},
		{"3", "pki/issue/wrapped", wrap}, {"4", "pki/issue/doubtful", wrap},
	} {
		request, answer := exchange(e[0], e[1], e[2])
		said.WriteString(request + answer)
	}
	unanswered, late := exchange("5", "pki/issue/doubtful", wrap)
	said.WriteString(unanswered)
	_, err := io.WriteString(device, said.String())
	require.NoError(t, err)
	requests := map[string]ptrace.Span{}
	for _, id := range []string{"1", "2", "3", "4"} {
		o.Eventually(t, "the request", o.HasSpan("update pki/", "vault.request.id", id))
		requests[id] = o.Spans("update pki/", "vault.request.id", id)[0]
	}
	for _, lease := range []string{"pki/issue/web/one", "pki/issue/web/two"} { // There are two more lists.
		all = append(all, lease)
		vault.say(all...)
		o.Eventually(t, "one more list", o.HasEvent("vault.lease.created", "vault.lease.hash", hash(lease)))
	}
	_, err = io.WriteString(device, late)
	require.NoError(t, err)
	o.Eventually(t, "the last request", o.HasSpan("update pki/", "vault.request.id", "5"))
	o.Shutdown(t)

	vault.say()
	o = startStored(t, cfg, dir)
	for lease, want := range map[string][]issuedBy{
		named: by(requests["1"], "certain"), wrapped: by(requests["3"], "likely"), doubtful: nil,
	} {
		o.Eventually(t, "the end", o.HasSpan(telemetry.SpanLease, "vault.lease.hash", hash(lease)))
		assert.Equal(t, want, leadsTo(t, o, telemetry.SpanLease, lease), lease)
	}
	o.Shutdown(t)
}

// Without leases to follow, nothing of their requests is kept; without an audit
// stream, nothing is known of them.
func TestLeasesAndRequestsWithoutEachOther(t *testing.T) {
	const lease = "pki/issue/web/a"
	vault := newLeasesFake(t)
	o := observe(t, vault.followed())
	o.Eventually(t, "the baseline", known(o, 0))
	vault.say(lease)
	o.Eventually(t, "it is told", o.HasSpan(telemetry.SpanLease+".start", "vault.lease.hash", hash(lease)))
	vault.say()
	o.Eventually(t, "its end", o.HasSpan(telemetry.SpanLease, "vault.lease.hash", hash(lease)))
	assert.Empty(t, leadsTo(t, o, telemetry.SpanLease, lease))

	cfg, address := listening(t, only(vault.url, ""))
	o = observe(t, cfg)
	var device net.Conn
	o.Eventually(t, "it listens", func() (ok bool) { var err error; device, err = net.Dial("tcp", address); return err == nil })
	defer func() { _ = device.Close() }()
	request, answer := exchange("1", "pki/issue/web", `{"secret":{"lease_id":"`+lease+`"}}`)
	_, err := io.WriteString(device, request+answer)
	require.NoError(t, err)
	o.Eventually(t, "the request", o.HasSpan("update pki/", "vault.lease.hash", hash(lease)))
}
