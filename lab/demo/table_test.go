// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// trace is the ID of a trace, as long as such IDs are.
func trace(digit string) string { return strings.Repeat(digit, 32) }

func request(digit, operation, path string, took time.Duration, failed bool) readback.Span {
	return readback.Span{
		TraceID: trace(digit), SpanID: "1" + digit, Service: "vault", Name: operation, Start: noon, Duration: took, Failed: failed,
		Attributes: map[string]any{"vault.request.path": path},
	}
}

var ofVault = Snapshot{
	Spans: map[string][]readback.Span{"vault": {
		request("1", "update auth/", "auth/login/ann", 5*time.Millisecond, false),
		request("2", "update auth/", "auth/login/ann", 250*time.Microsecond, false),
		request("3", "update sys/", "sys/leases/lookup", time.Millisecond, true),
		{TraceID: trace("4"), SpanID: "a", Service: "shop", Name: "order", Start: noon, Duration: 14 * time.Millisecond},
		{
			TraceID: trace("4"), SpanID: "b", ParentSpanID: "a", Service: "vault", Name: "create shop/", Start: noon, Duration: 3 * time.Millisecond,
			Attributes: map[string]any{"vault.request.path": "shop/payment"},
		},
		{
			TraceID: trace("5"), SpanID: "c", Service: "vault", Name: "vault.lease", Start: noon, Duration: 6082 * time.Millisecond,
			Attributes: map[string]any{"vault.lease.prefix": "pki/issue/web", "vault.lease.end.cause": "expired"},
			Links:      []readback.Link{{TraceID: trace("4"), SpanID: "b"}},
		},
		{TraceID: trace("5"), SpanID: "d", ParentSpanID: "c", Service: "vault", Name: "vault.lease.start", Start: noon},
	}},
	Exemplars: map[string][]readback.Exemplar{"vault": {
		{Series: duration("create", "0.005"), Value: 0.003, TraceID: trace("4"), SpanID: "b"},
		{Series: duration("update", "0.0005"), Value: 0.00025, TraceID: trace("2"), SpanID: "12"},
		{Series: duration("update", "0.005"), Value: 0.005, TraceID: trace("1"), SpanID: "11"},
		{Series: duration("update", "10"), Value: 9, TraceID: trace("9"), SpanID: "9"}, // leads nowhere
		{Series: duration("lookup", "0.001"), Value: 0.001, TraceID: trace("3"), SpanID: "13"},
		{Series: readback.Series{Name: "vault_lease_ended_total"}, Value: 1, TraceID: trace("5"), SpanID: "c"},
	}},
	Events: map[string][]readback.Event{"vault": {{Name: "vault.sealed"}, {Name: "vault.unsealed"}, {Name: "vault.sealed"}}},
	Series: map[string][]readback.Series{"vault": {
		duration("create", "0.005"),
		{Name: "vault_request_duration_seconds_count", Labels: map[string]string{"job": "vault", "op": "create"}, Value: 1},
		{Name: "vault_request_duration_seconds_count", Labels: map[string]string{"job": "vault", "op": "update"}, Value: 2},
		{Name: "vault_request_duration_seconds_sum", Labels: map[string]string{"job": "vault", "op": "create"}, Value: 0.003},
		{Name: "vault_pki_ca_expiry_seconds", Labels: map[string]string{"job": "vault", "issuer": "c9b1"}, Value: 2592000},
		{Name: "vault_endpoint_up", Labels: map[string]string{"endpoint": "a"}, Value: 1},
		{Name: "vault_endpoint_up", Labels: map[string]string{"endpoint": "b"}, Value: 1},
		{Name: "vault_entity_count", Value: 1},
	}},
}

func duration(operation, le string) readback.Series {
	return readback.Series{Name: "vault_request_duration_seconds_bucket", Labels: map[string]string{"job": "vault", "op": operation, "le": le}}
}

func TestATableTellsTracesFirst(t *testing.T) {
	var out strings.Builder
	require.NoError(t, ofVault.Print(&out, readback.Jaeger("http://jaeger").TraceURL, "http://prometheus"))
	_, table, _ := strings.Cut(out.String(), "\nVAULT\n")
	table, _, _ = strings.Cut(table, "\nSHOP\n")
	_, table, _ = strings.Cut(table, "\n") // what to look at
	assert.Equal(t, `  Traces                                     duration      in Jaeger
    order (of shop)                          14ms          http://jaeger/api/v3/traces/44444444444444444444444444444444
      create shop/ (of vault, shop/payment)  3ms
    update auth/ (auth/login/ann) × 2        250µs to 5ms  http://jaeger/api/v3/traces/11111111111111111111111111111111  the longest
    vault.lease (pki/issue/web, expired)     6.082s        http://jaeger/api/v3/traces/55555555555555555555555555555555
                                                           linked to create shop/ of 444444…
    left out are the demo's own, to set up and to ask until a lease is gone: sys/leases/lookup (error)
  Exemplars                                 value  lead to
    vault_request_duration_seconds{create}  3ms    http://jaeger/api/v3/traces/44444444444444444444444444444444  create shop/
    vault_request_duration_seconds{update}  5ms    http://jaeger/api/v3/traces/11111111111111111111111111111111  update auth/
    vault_lease_ended_total                 1      http://jaeger/api/v3/traces/55555555555555555555555555555555  vault.lease
  Events
    vault.sealed 2, vault.unsealed 1
  Metrics                                 series  values
    vault_request_duration_seconds_count  2       create 1, update 2
    vault_pki_ca_expiry_seconds           1       30d
    and 2 more: curl -sG --data-urlencode 'query={job="vault"}' http://prometheus/api/v1/query
    what each of them says: receiver/vaultreceiver/documentation.md
`, table)
}

func TestWhatToLookAtFitsInALine(t *testing.T) {
	for _, system := range Systems {
		assert.NotEmpty(t, system.Highlight, system.Name)
		assert.LessOrEqual(t, utf8.RuneCountInString("  look at "+system.Highlight), width, system.Name)
	}
}

func TestASystemThatHasToldNothingIsPrinted(t *testing.T) {
	var out strings.Builder
	require.NoError(t, Snapshot{}.Print(&out, readback.Jaeger("http://jaeger").TraceURL, "http://prometheus"))
	assert.Contains(t, out.String(), "\nSHOP\n")
}

func TestSessionsOfOneLockAreAlike(t *testing.T) {
	lease := func(id string) readback.Span {
		return readback.Span{TraceID: id, SpanID: id, Service: "etcd", Name: "etcd.lease", Attributes: map[string]any{
			"etcd.lease.id": id, "etcd.lease.keys": []any{"/locks/job/" + id}, "etcd.lease.end.cause": "revoked",
		}}
	}
	trees := grow([]readback.Span{lease("12e1"), lease("12e2")}, readback.Span{Service: "etcd"})
	assert.Equal(t, "etcd.lease (/locks/job, revoked)", trees[0].title)
	assert.Equal(t, 2, alike(trees))
}

func TestShort(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "<1µs": 1, "7µs": 7100, "794µs": 794_123, "2.6ms": 2_610_000, "91.5ms": 91_480_800, "294ms": 294_395_200,
		"1.504s": 1_504_400_000, "5m0s": 5 * time.Minute, "30h0m0s": 30 * time.Hour, "3650d": 3650 * 24 * time.Hour,
	} {
		assert.Equal(t, want, short(d))
	}
}

func TestValueHasTheUnitOfItsName(t *testing.T) {
	for _, test := range []struct {
		name string
		v    float64
		want string
	}{
		{"vault_request_duration_seconds{kv, read, ok}", 0.000794, "794µs"},
		{"etcd_lock_wait_duration_seconds_sum", 3.011712154, "3.012s"},
		{"etcd_lock_wait_duration_seconds_count", 3, "3"},
		{"etcd_db_quota_bytes", 2.147483648e+09, "2147483648"},
		{"etcd_db_utilization_ratio", 1.1444091796875e-05, "1.144e-05"},
		{"vault_lease_ended_total{expired}", 1, "1"},
		{"vault_pki_crl_expiry_seconds", math.Inf(1), "+Inf"},
		{"vault_pki_crl_expiry_seconds", math.NaN(), "NaN"},
	} {
		assert.Equal(t, test.want, value(test.name, test.v), test.name)
	}
}

func TestMiddleKeepsBothEnds(t *testing.T) {
	assert.Equal(t, "short", middle("short", 5))
	assert.Equal(t, "abc…xyz", middle("abcdefuvwxyz", 7))
	assert.Equal(t, 8, utf8.RuneCountInString(middle("ööööööööööööööö", 8)))
}

func TestManySeriesAreARange(t *testing.T) {
	var series []readback.Series
	for _, label := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		series = append(series, readback.Series{Name: "consul_endpoint_up", Labels: map[string]string{"x": label}, Value: 1})
	}
	assert.Equal(t, "all 1", summary(series))
	series[3].Value = 0
	assert.Equal(t, "0 to 1", summary(series))
	assert.Equal(t, "a 1, b 1", summary(series[:2]))
}

func TestAListIsAsWideAsFits(t *testing.T) {
	var out strings.Builder
	long := strings.Repeat("ö", 75)
	printList(&out, "these:", []string{long, long, "last"})
	assert.Equal(t, "    these: "+long+",\n    "+long+", last\n", out.String())
}

// The request that issued a lease has its prefix, which is the request's path.
func TestATitleSaysAThingOnce(t *testing.T) {
	issue := request("6", "update pki/", "pki/issue/web", time.Millisecond, false)
	issue.Attributes["vault.lease.prefix"] = "pki/issue/web"
	assert.Equal(t, "update pki/ (pki/issue/web)", title(issue, readback.Span{Service: "vault"}))
}
