// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

const attrCause = "etcd.lease.end.cause"

func hexOf(id clientv3.LeaseID) string { return strconv.FormatInt(int64(id), 16) }

// requireLease requires that a lease was reported as granted and ended, each once
// and for this cause, and as one span of this length at least.
func (o *observed) requireLease(t *testing.T, id clientv3.LeaseID, cause, confidence string, keys int, least time.Duration) {
	t.Helper()
	o.Eventually(t, "the end of the lease", o.HasSpan(lease.Span, "etcd.lease.id", hexOf(id)))
	require.Len(t, o.Events("etcd.lease.granted", "etcd.lease.id", hexOf(id)), 1)
	ended := o.Events("etcd.lease.ended", "etcd.lease.id", hexOf(id))
	require.Len(t, ended, 1)
	spans := o.Spans(lease.Span, "etcd.lease.id", hexOf(id))
	require.Len(t, spans, 1)
	for _, attrs := range []pcommon.Map{ended[0].Attributes(), spans[0].Attributes()} {
		assert.Equal(t, cause, value(attrs, attrCause))
		assert.Contains(t, strings.Split(confidence, " or "), value(attrs, "etcd.lease.end.confidence"))
		assert.Equal(t, strconv.Itoa(keys), value(attrs, "etcd.lease.key.count"))
	}
	assert.GreaterOrEqual(t, spans[0].EndTimestamp().AsTime().Sub(spans[0].StartTimestamp().AsTime()), least)
	assert.Equal(t, spans[0].SpanID(), ended[0].SpanID())
	assert.Equal(t, spans[0].SpanID(), o.Spans(lease.Span+".start", "etcd.lease.id", hexOf(id))[0].ParentSpanID())
}

// askedFor waits until these leases were reported as granted, and all that are followed
// were asked for: until then it is not known how long they have.
func (o *observed) askedFor(t *testing.T, leases ...clientv3.LeaseID) {
	t.Helper()
	for _, id := range leases {
		o.Eventually(t, "granted", o.HasEvent("etcd.lease.granted", "etcd.lease.id", hexOf(id)))
	}
	before := len(o.Metrics.AllMetrics()) + 1 // One may be under way.
	o.Eventually(t, "each was asked for", func() bool {
		all := o.Metrics.AllMetrics()
		alive, known := o.Value("etcd.lease.count")
		return len(all) > before && known && asked(all[len(all)-1]) >= uint64(alive)
	})
}

// asked returns how many leases were asked for, which each has its time to live reported
// once for.
func asked(metrics pmetric.Metrics) (leases uint64) {
	for _, rm := range metrics.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() == "etcd.lease.ttl" {
				leases += m.Histogram().DataPoints().At(0).Count()
			}
		}
	}
	return leases
}

func TestLeasesOfObservedKeys(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	before := grant(t, client, 60)
	set(t, client, "/app/before", "", clientv3.WithLease(before))
	o := observe(t, configFor(etcd.Endpoints...))
	from := o.watching(t, client)
	revoked, expired, elsewhere, moved := grant(t, client, 60), grant(t, client, 6), grant(t, client, 6), grant(t, client, 6)
	for i := range 3 {
		set(t, client, fmt.Sprint("/app/revoked/", i), "", clientv3.WithLease(revoked))
	}
	set(t, client, "/app/expired", "", clientv3.WithLease(expired))
	set(t, client, "/elsewhere", "", clientv3.WithLease(elsewhere))
	set(t, client, "/app/moved", "", clientv3.WithLease(moved))
	set(t, client, "/app/moved", "")
	o.askedFor(t, revoked, expired, moved)
	for _, id := range []clientv3.LeaseID{revoked, before} {
		_, err := client.Revoke(t.Context(), id)
		require.NoError(t, err)
	}
	o.requireLease(t, revoked, "revoked", "certain", 3, 0)
	o.requireLease(t, expired, "expired", "likely", 1, 1500*time.Millisecond)
	o.requireLease(t, moved, "expired", "likely", 1, 1500*time.Millisecond)
	o.Eventually(t, "the one of before", o.HasSpan(lease.Span, "etcd.lease.id", hexOf(before), attrCause, "revoked", period.AttrBeganBeforeObservation, "true"))
	assert.Empty(t, o.Events("etcd.lease.granted", "etcd.lease.id", hexOf(before)))
	assert.Empty(t, o.Events("", "etcd.lease.id", hexOf(elsewhere)))
	o.requireTruth(t, client, from)
}

func TestAllLeases(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	before := grant(t, client, 60)
	cfg := configFor(etcd.Endpoints...)
	cfg.Leases.Mode = lease.ModeAll
	o := observe(t, cfg)
	o.watching(t, client)
	o.Eventually(t, "the first list", func() bool { return o.Own(t, "otelcol_etcd_requests", "request", "leases", "outcome", "success") > 0 })
	revoked, expired, kept := grant(t, client, 60), grant(t, client, 6), grant(t, client, 6)
	renewals, err := client.KeepAlive(t.Context(), kept)
	require.NoError(t, err)
	go func() {
		for range renewals { // until the test ends
		}
	}()
	o.askedFor(t, revoked, expired, kept)
	_, err = client.Revoke(t.Context(), revoked)
	require.NoError(t, err)
	// It was asked for, or missed in two lists, whichever came first.
	o.requireLease(t, revoked, "revoked", "certain or likely", 0, 0)
	o.requireLease(t, expired, "expired", "likely", 0, 1500*time.Millisecond)
	_, err = client.Revoke(t.Context(), before)
	require.NoError(t, err)
	o.Eventually(t, "the one of before", o.HasSpan(lease.Span, "etcd.lease.id", hexOf(before), attrCause, "revoked"))
	assert.Empty(t, o.Events("etcd.lease.granted", "etcd.lease.id", hexOf(before)))
	ended := o.Events("etcd.lease.ended", "etcd.lease.id", hexOf(kept))
	lives, err := client.TimeToLive(t.Context(), kept)
	require.NoError(t, err)
	if lives.TTL >= 0 { // else who renews it came late
		assert.Empty(t, ended, "it is renewed")
	}
}

func TestLeasesThatAreOnlyCountedOrOff(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	for mode, lists := range map[lease.Mode]bool{lease.ModeCount: true, lease.ModeOff: false} {
		t.Run(string(mode), func(t *testing.T) {
			cfg := configFor(etcd.Endpoints...)
			cfg.Leases.Mode = mode
			o := observe(t, cfg)
			from := o.watching(t, client)
			l := newLocker(t, client)
			require.NoError(t, l.mutex.Lock(t.Context()))
			require.NoError(t, l.session.Close())
			o.requireTruth(t, client, from)
			o.Eventually(t, "lists", func() bool {
				return !lists || o.Own(t, "otelcol_etcd_requests", "request", "leases", "outcome", "success") > 2
			})
			assert.Equal(t, lists, o.Own(t, "otelcol_etcd_requests", "request", "leases") > 0)
			assert.Zero(t, o.Own(t, "otelcol_etcd_requests", "request", "lease"))
			for _, name := range []string{"etcd.lease.granted", "etcd.lease.ended"} {
				assert.Empty(t, o.Events(name))
			}
			released := o.Events("etcd.lock.released", "etcd.lock.key", l.key)
			require.Len(t, released, 1)
			assert.Equal(t, "unknown", value(released[0].Attributes(), "etcd.lock.end.cause"))
		})
	}
}

// However many leases there are, the leader is asked as often as is allowed.
func TestTheLeaderIsAskedWithinABudget(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Leases.RequestsPerSecond = 20
	o := observe(t, cfg)
	from := o.watching(t, client)
	began := time.Now()
	questions := func() int64 { return o.Own(t, "otelcol_etcd_requests", "request", "lease") }
	first := questions()
	const leases = 200
	var ids []clientv3.LeaseID
	for i := range leases {
		id := grant(t, client, 6)
		set(t, client, fmt.Sprint("/app/", i), "", clientv3.WithLease(id))
		ids = append(ids, id)
	}
	o.Eventually(t, "all have ended", func() bool { return len(o.Events("etcd.lease.ended")) >= leases })
	o.Eventually(t, "nothing is left to ask for", func() bool { return len(o.Spans(lease.Span)) >= leases })
	requests := questions() - first
	took := time.Since(began)
	assert.LessOrEqual(t, float64(requests), 20*(took.Seconds()+1)+1)
	t.Logf("%d requests for %d leases in %s", requests, leases, took)
	for _, id := range ids {
		require.Len(t, o.Events("etcd.lease.granted", "etcd.lease.id", hexOf(id)), 1)
		require.Len(t, o.Events("etcd.lease.ended", "etcd.lease.id", hexOf(id)), 1)
		assert.NotEqual(t, "revoked", value(o.Events("etcd.lease.ended", "etcd.lease.id", hexOf(id))[0].Attributes(), attrCause))
	}
	o.requireTruth(t, client, from)
}

// die has the client no longer renew its lease.
func (l *locker) die() { l.session.Orphan() }

func TestALockIsLostWithItsLease(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	from := o.watching(t, client)
	lost, waits, next := newLockerOf(t, client, "/locks/deploy", 6), newLockerOf(t, client, "/locks/deploy", 6), newLocker(t, client)
	require.NoError(t, lost.mutex.Lock(t.Context()))
	for _, l := range []*locker{waits, next} {
		l.lock(t.Context())
		o.Eventually(t, "queued", o.HasEvent("etcd.lock.queued", "etcd.lock.key", l.key))
	}
	waits.die()
	o.Eventually(t, "it expired while waiting", o.hasSpan(lock.SpanAttempt, waits.key))
	lost.die()
	next.acquired(t)
	next.unlock(t)
	o.requireTruth(t, client, from)

	o.Eventually(t, "the last one", o.hasSpan(lock.SpanHold, next.key))
	for _, test := range []struct {
		l                        *locker
		event, cause, name, says string
	}{
		{waits, "etcd.lock.abandoned", "lease_expired", lock.SpanAttempt, "the lease expired while waiting"},
		{lost, "etcd.lock.released", "lease_expired", lock.SpanAttempt, "the lease expired while holding"},
		{lost, "etcd.lock.released", "lease_expired", lock.SpanHold, "the lease expired while holding"},
		{next, "etcd.lock.released", "released", lock.SpanAttempt, ""},
	} {
		events := o.Events(test.event, "etcd.lock.key", test.l.key)
		require.Len(t, events, 1)
		assert.Equal(t, test.cause, value(events[0].Attributes(), "etcd.lock.end.cause"))
		assert.Equal(t, test.cause == "lease_expired", events[0].SeverityNumber() == plog.SeverityNumberWarn)
		span, ok := o.span(test.name, test.l.key)
		require.True(t, ok)
		assert.Equal(t, test.says, span.Status().Message())
		assert.Equal(t, test.says != "", span.Status().Code() == ptrace.StatusCodeError)
	}
	attempt, _ := o.span(lock.SpanAttempt, next.key)
	hold, _ := o.span(lock.SpanHold, lost.key)
	require.Equal(t, 1, attempt.Links().Len(), "it leads to whom it waited for")
	assert.Equal(t, hold.SpanID(), attempt.Links().At(0).SpanID())
	assert.Equal(t, hold.TraceID(), attempt.Links().At(0).TraceID())
	o.requireLease(t, lost.session.Lease(), "expired", "likely", 1, 1500*time.Millisecond)
	o.requireLease(t, waits.session.Lease(), "expired", "likely", 1, 1500*time.Millisecond)
}

func TestElections(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Elections.Prefixes = []string{"/elections/"}
	o := observe(t, cfg)
	from := o.watching(t, client)
	campaign := func(name string, ttl int) (*concurrency.Session, *concurrency.Election, string, chan error) {
		session, err := concurrency.NewSession(client, concurrency.WithTTL(ttl))
		require.NoError(t, err)
		t.Cleanup(func() { _ = session.Close() })
		election := concurrency.NewElection(session, name)
		won := make(chan error, 1)
		go func() { won <- election.Campaign(t.Context(), "s3cret") }()
		return session, election, fmt.Sprintf("%s/%x", name, session.Lease()), won
	}
	led := func(key string) func() bool { return o.HasEvent("etcd.election.elected", "etcd.election.key", key) }
	// Under a prefix of keys, a candidate is known by its value.
	for _, name := range []string{"/elections/main", "/app/main"} {
		first, resigns, firstKey, won := campaign(name, 60)
		require.NoError(t, <-won)
		o.Eventually(t, "the first", led(firstKey))
		dies, _, diesKey, _ := campaign(name, 6)
		require.Eventually(t, func() bool {
			answer, err := client.Get(t.Context(), diesKey)
			return err == nil && len(answer.Kvs) == 1
		}, soon, 20*time.Millisecond)
		last, _, lastKey, _ := campaign(name, 60)
		require.NoError(t, resigns.Resign(t.Context()))
		o.Eventually(t, "the second", led(diesKey))
		require.Eventually(t, func() bool {
			answer, err := client.Get(t.Context(), lastKey)
			return err == nil && len(answer.Kvs) == 1
		}, soon, 20*time.Millisecond)
		dies.Orphan()
		o.Eventually(t, "the third", led(lastKey))
		require.NoError(t, last.Close())
		o.Eventually(t, "the last term", o.HasSpan(lock.SpanTerm, "etcd.election.key", lastKey))

		var reported []string
		for _, event := range o.Events("", "etcd.election.name", name) {
			reported = append(reported, event.EventName()+" "+value(event.Attributes(), "etcd.election.key")+" "+value(event.Attributes(), "etcd.lock.end.cause"))
			assert.Equal(t, event.EventName() == "etcd.election.lost", event.SeverityNumber() == plog.SeverityNumberWarn)
		}
		assert.Equal(t, []string{
			"etcd.election.elected " + firstKey + " ", "etcd.election.resigned " + firstKey + " released",
			"etcd.election.elected " + diesKey + " ", "etcd.election.lost " + diesKey + " lease_expired",
			"etcd.election.elected " + lastKey + " ", "etcd.election.resigned " + lastKey + " released",
		}, reported)
		terms := o.Spans(lock.SpanTerm, "etcd.election.name", name)
		require.Len(t, terms, 3)
		for i, term := range terms {
			assert.Equal(t, map[bool]string{true: "the lease expired while leading", false: ""}[i == 1], term.Status().Message())
			if i > 0 {
				assert.Equal(t, terms[i-1].EndTimestamp(), term.StartTimestamp())
				require.Equal(t, 1, term.Links().Len())
				assert.Equal(t, terms[i-1].SpanID(), term.Links().At(0).SpanID())
			}
		}
		require.NoError(t, first.Close())
	}
	assert.Empty(t, o.Events("", "etcd.lock.name", "/app/main"))
	o.requireTruth(t, client, from)
	o.RequireNotTold(t, "s3cret")
}

// When changes are observed late, a lease that has gone meanwhile does not show
// why: its client may have given everything back in time. A consumer that refuses
// has nothing observed late, so then it is known that the client has.
func TestAReleaseThatIsLearntLateIsNotTakenForAnExpiry(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	for name, hide := range map[string]func(*observed, *link, bool){
		"as etcd could not be reached": func(_ *observed, l *link, hide bool) { l.set(hide) },
		"as a consumer refused it": func(o *observed, _ *link, hide bool) {
			o.Refuse(hide)
			if hide { // What comes first under /locks/, and nothing that comes with it.
				require.NoError(t, newLockerOf(t, client, "/locks/first", 60).mutex.Lock(t.Context()))
				o.Eventually(t, "it is refused", func() bool { return strings.Contains(o.Trouble(), "delivery of logs") })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t, etcd.Endpoints[0])
			cfg := configFor(l.address)
			cfg.Scrape.Timeout = 2 * time.Second
			o := observe(t, cfg)
			from := o.watching(t, client)
			const ttl = 6
			both := newLockerOf(t, client, "/locks/deploy", ttl)
			second := concurrency.NewMutex(both.session, "/locks/other")
			require.NoError(t, both.mutex.Lock(t.Context()))
			require.NoError(t, second.Lock(t.Context()))
			o.askedFor(t, both.session.Lease())
			o.requireTruth(t, client, from)
			keys := []string{both.key, second.Key()}
			hide(o, l, true)
			both.unlock(t)
			require.NoError(t, second.Unlock(t.Context()))
			require.NoError(t, both.session.Close())
			time.Sleep((ttl + 1) * time.Second) // The lease would have expired by now.
			hide(o, l, false)
			for _, key := range keys {
				o.Eventually(t, "the release", o.HasEvent("etcd.lock.released", "etcd.lock.key", key))
				event := o.Events("etcd.lock.released", "etcd.lock.key", key)[0]
				assert.NotEqual(t, "lease_expired", value(event.Attributes(), "etcd.lock.end.cause"))
				assert.Equal(t, plog.SeverityNumberInfo, event.SeverityNumber())
			}
			o.Eventually(t, "the lease", o.HasEvent("etcd.lease.ended", "etcd.lease.id", hexOf(both.session.Lease())))
			ended := o.Events("etcd.lease.ended", "etcd.lease.id", hexOf(both.session.Lease()))[0]
			if name == "as etcd could not be reached" {
				assert.NotEqual(t, "certain", value(ended.Attributes(), "etcd.lease.end.confidence"))
			} else {
				assert.Equal(t, "revoked", value(ended.Attributes(), "etcd.lease.end.cause"))
			}
		})
	}
}
