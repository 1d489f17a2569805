// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/filter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const cluster = "cdf818194e3a8c32"

func lockKey(lease, created int64) key.Key {
	return key.Key{Name: fmt.Sprintf("/locks/deploy/%x", lease), Created: created, Modified: created, Version: 1, Lease: lease}
}

func put(k key.Key, size int) key.Change {
	k.Size = size
	return key.Change{Key: k}
}

func deleted(name string, revision int64) key.Change {
	return key.Change{Key: key.Key{Name: name, Modified: revision}, Deleted: true}
}

func list(revision int64, keys ...key.Key) keyspace.Observation {
	return keyspace.Observation{Prefix: "/", Revision: revision, Listed: true, Keys: keys}
}

func watched(changes ...key.Change) keyspace.Observation {
	return keyspace.Observation{Prefix: "/", Changes: changes}
}

func clusterResource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("etcd")
	rb.SetEtcdClusterID(cluster)
	return rb.Emit()
}

// course lets a machine step every ten seconds.
func course(follow bool, render func(now time.Time, effects []keyspace.Effect), observed ...any) {
	machine := keyspace.NewMachine(keyspace.Prefixes{Watch: []string{"/app/"}, Locks: []string{"/locks/"}, Elections: []string{"/elections/"}}, keyspace.Limits{Keys: 100, Leases: 100}, follow)
	for i, o := range observed {
		now := second(10 * i)
		switch o := o.(type) {
		case keyspace.Observation:
			render(now, machine.Step(now, o))
		case lease.Observation:
			render(now, machine.StepLeases(now, o))
		}
	}
}

func second(n int) time.Time { return time.Unix(1_000_000+int64(n), 0) }

// follow renders a course of what is observed of keys and leases.
func follow(observed ...any) (ptrace.Traces, plog.Logs) {
	return render(metadata.DefaultLogsBuilderConfig(), true, observed...)
}

// renderKeys renders a course of what is observed of keys.
func renderKeys(config metadata.LogsBuilderConfig, observations ...keyspace.Observation) (ptrace.Traces, plog.Logs) {
	observed := make([]any, len(observations))
	for i, o := range observations {
		observed[i] = o
	}
	return render(config, false, observed...)
}

func render(config metadata.LogsBuilderConfig, follow bool, observed ...any) (ptrace.Traces, plog.Logs) {
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	course(follow, func(now time.Time, effects []keyspace.Effect) {
		r := collect.NewRenderer(config, receivertest.NewNopSettings(metadata.Type), now, cluster)
		keyspace.Render(r, effects)
		rendered := r.Emit(clusterResource())
		rendered.Traces.ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
		rendered.Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}, observed...)
	return traces, logs
}

// alive and gone are answers to questions of a second.
func alive(id int64, at int, ttl, remaining int64) lease.Answer {
	return lease.Answer{ID: id, At: second(at), TTL: ttl, Remaining: remaining}
}

func gone(id int64, at int) lease.Answer { return lease.Answer{ID: id, At: second(at), Remaining: -1} }

func asked(answers ...lease.Answer) lease.Observation {
	return lease.Observation{Answers: answers}
}

func and(o keyspace.Observation, answers ...lease.Answer) keyspace.Observation {
	o.Answers = answers
	return o
}

func late(o keyspace.Observation, revision int64) keyspace.Observation {
	o.Late = revision
	return o
}

func TestALockThatTwoContendFor(t *testing.T) {
	traces, logs := renderKeys(metadata.DefaultLogsBuilderConfig(),
		list(1),
		watched(put(lockKey(0xb, 2), 0)),
		watched(put(lockKey(0xa, 3), 0), put(lockKey(0xc, 4), 0)),
		watched(deleted("/locks/deploy/c", 5)),
		watched(deleted("/locks/deploy/b", 6)),
		watched(deleted("/locks/deploy/a", 7)),
	)
	goldentest.Traces(t, "one holds a lock, one waits for it, one gives up", traces)
	goldentest.Logs(t, "one holds a lock, one waits for it, one gives up", logs)
}

func TestALockThatWasHeldBefore(t *testing.T) {
	traces, logs := renderKeys(metadata.DefaultLogsBuilderConfig(),
		list(3, lockKey(0xa, 3), lockKey(0xb, 2)),
		watched(deleted("/locks/deploy/b", 4)),
		watched(deleted("/locks/deploy/a", 5)),
	)
	goldentest.Traces(t, "a lock that was held before is told at its end", traces)
	goldentest.Logs(t, "a lock that was held before is told at its end", logs)
}

func TestALockThatOtherKeysHoldUp(t *testing.T) {
	within := put(key.Key{Name: "/locks/deploy/within/a", Created: 2, Modified: 2, Version: 1, Lease: 0xa}, 0)
	traces, logs := renderKeys(metadata.DefaultLogsBuilderConfig(),
		list(1, key.Key{Name: "/locks/deploy/1", Created: 1, Modified: 1, Version: 1, Size: 1}),
		watched(within, put(lockKey(0xb, 3), 0), put(lockKey(0xc, 4), 0)),
		watched(deleted("/locks/deploy/c", 5), deleted("/locks/deploy/1", 6)),
		watched(deleted("/locks/deploy/within/a", 7)),
		watched(deleted("/locks/deploy/b", 8)),
	)
	goldentest.Traces(t, "a lock that another key and a lock within it hold up", traces)
	goldentest.Logs(t, "a lock that another key and a lock within it hold up", logs)
}

func TestKeysThatChange(t *testing.T) {
	_, logs := renderKeys(metadata.DefaultLogsBuilderConfig(),
		list(1),
		watched(
			put(key.Key{Name: "/app/b", Created: 2, Modified: 2, Version: 1}, 5),
			deleted("/app/b", 3),
			put(key.Key{Name: "/app/a", Created: 4, Modified: 4, Version: 1, Lease: 0x7587}, 0),
			put(key.Key{Name: "/app/a", Created: 4, Modified: 5, Version: 2, Lease: 0x7587}, 1024),
			put(key.Key{Name: "/other", Created: 6, Modified: 6, Version: 1}, 5),
			put(key.Key{Name: "/app/\xff", Created: 7, Modified: 7, Version: 1}, 5),
		),
	)
	goldentest.Logs(t, "keys are created, changed and deleted", logs)
}

func TestAGap(t *testing.T) {
	traces, logs := renderKeys(metadata.DefaultLogsBuilderConfig(),
		list(1),
		watched(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), put(key.Key{Name: "/app/a", Created: 4, Modified: 4, Version: 1}, 5)),
		list(90, key.Key{Name: "/app/b", Created: 80, Modified: 81, Version: 2}, lockKey(0xb, 3)),
	)
	goldentest.Traces(t, "a gap hides a release and two changes", traces)
	goldentest.Logs(t, "a gap hides a release and two changes", logs)
}

func candidate(lease, created, modified int64) key.Key {
	return key.Key{Name: fmt.Sprintf("/elections/leader/%x", lease), Created: created, Modified: modified, Version: 1 + modified - created, Lease: lease}
}

func TestAnElectionWhoseLeaderIsLost(t *testing.T) {
	traces, logs := follow(
		list(1),
		watched(put(candidate(0xa, 2, 2), 4), put(candidate(0xb, 3, 3), 4), put(candidate(0xc, 4, 4), 4)),
		asked(alive(0xa, 20, 10, 9), alive(0xb, 20, 60, 59), alive(0xa, 39, 10, 0)),
		watched(put(candidate(0xa, 2, 5), 5), deleted("/elections/leader/c", 6)),
		and(watched(deleted("/elections/leader/a", 7)), gone(0xa, 40)),
		watched(deleted("/elections/leader/b", 8)),
	)
	goldentest.Traces(t, "a leader is lost, the next one resigns, a candidate gives up", traces)
	goldentest.Logs(t, "a leader is lost, the next one resigns, a candidate gives up", logs)
}

func TestALeaderThatLedBefore(t *testing.T) {
	traces, logs := follow(list(3, put(candidate(0xa, 2, 2), 4).Key), watched(deleted("/elections/leader/a", 4)))
	goldentest.Traces(t, "a leader that led before resigns", traces)
	goldentest.Logs(t, "a leader that led before resigns", logs)
}

func TestTheLivesOfLeases(t *testing.T) {
	app := func(name string, lease, created int64) key.Change {
		return put(key.Key{Name: "/app/" + name, Created: created, Modified: created, Version: 1, Lease: lease}, 5)
	}
	traces, logs := follow(
		list(2, app("before", 0xd, 2).Key),
		watched(app("one", 0xa, 3), app("\xff", 0xa, 4), app("two", 0xb, 5), app("three", 0xc, 6)),
		asked(alive(0xa, 20, 10, 9), alive(0xb, 20, 60, 59), alive(0xa, 39, 10, -1)),
		asked(gone(0xb, 30)),
		watched(deleted("/app/two", 7), deleted("/app/one", 8), deleted("/app/\xff", 8)),
		asked(gone(0xa, 50)),
		late(watched(deleted("/app/three", 9), deleted("/app/before", 10)), 9),
		asked(gone(0xc, 70), gone(0xd, 70)),
	)
	goldentest.Traces(t, "one lease expires, one is revoked, two end somehow", traces)
	goldentest.Logs(t, "one lease expires, one is revoked, two end somehow", logs)
}

func TestALockThatIsLostWithItsLease(t *testing.T) {
	traces, logs := follow(
		list(1),
		watched(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), put(lockKey(0xc, 4), 0)),
		asked(alive(0xa, 20, 10, 5), alive(0xb, 20, 60, 59), alive(0xc, 20, 10, 5), alive(0xa, 29, 10, 0), alive(0xc, 29, 10, 0)),
		and(watched(deleted("/locks/deploy/a", 5), deleted("/locks/deploy/c", 6)), gone(0xa, 30), gone(0xc, 30)),
		watched(deleted("/locks/deploy/b", 7)),
	)
	goldentest.Traces(t, "a holder and a waiter lose their leases, another waiter follows", traces)
	goldentest.Logs(t, "a holder and a waiter lose their leases, another waiter follows", logs)
}

func TestAttemptsOfBeforeTheWatch(t *testing.T) {
	traces, logs := follow(
		list(1),
		late(watched(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), deleted("/locks/deploy/a", 4)), 4),
		late(watched(deleted("/locks/deploy/b", 5)), 4),
	)
	goldentest.Traces(t, "attempts at a lock before the watch was opened", traces)
	goldentest.Logs(t, "attempts at a lock before the watch was opened", logs)
}

func TestDurations(t *testing.T) {
	prefixes := keyspace.Prefixes{Locks: []string{"/locks/", "/quiet/"}, Elections: []string{"/elections/"}}
	durations := keyspace.NewDurations(prefixes, second(-5))
	course(true, func(now time.Time, effects []keyspace.Effect) { durations.Observe(cluster, now, effects) },
		list(3, lockKey(0xd, 2), put(candidate(0xd, 3, 3), 4).Key), // What began before has no known duration,
		watched(put(lockKey(0xa, 4), 0), put(lockKey(0xb, 5), 0), put(candidate(0xa, 6, 6), 4)),
		asked(alive(0xa, 20, 10, 9), alive(0xb, 20, 60, 59)),
		asked(alive(0xb, 30, 60, 40)),
		watched(deleted("/locks/deploy/d", 7), deleted("/elections/leader/d", 8)),
		late(watched(put(lockKey(0xe, 9), 0)), 9), // and what is late has none either, but for a hold that begins in time.
		watched(deleted("/locks/deploy/a", 10), deleted("/elections/leader/a", 11)),
		watched(deleted("/locks/deploy/b", 12)),
		watched(deleted("/locks/deploy/e", 13)),
		watched(put(key.Key{Name: "/app/x/f", Created: 14, Modified: 14, Version: 1, Lease: 0xf}, 0), deleted("/app/x/f", 15)),
		watched(put(lockKey(0xa, 16), 0), put(lockKey(0xb, 17), 0)),
		watched(deleted("/locks/deploy/b", 18)), // It gave up.
	)
	metrics := pmetric.NewMetrics()
	rm := metrics.ResourceMetrics().AppendEmpty()
	clusterResource().CopyTo(rm.Resource())
	durations.AppendTo(rm.ScopeMetrics().AppendEmpty().Metrics(), pcommon.NewTimestampFromTime(second(100)))
	goldentest.Metrics(t, "durations of locks, terms and leases", metrics)
}

// The exemplars of durations lead to spans that are reported.
func TestExemplarsLeadToSpans(t *testing.T) {
	observed := []any{
		list(1), watched(put(lockKey(0xa, 2), 0), put(candidate(0xa, 3, 3), 4)), asked(alive(0xa, 20, 60, 59)),
		and(watched(deleted("/locks/deploy/a", 4), deleted("/elections/leader/a", 4)), gone(0xa, 30)),
	}
	traces, _ := follow(observed...)
	spans := map[pcommon.SpanID]pcommon.TraceID{}
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			spans[span.SpanID()] = span.TraceID()
		}
	}
	durations := keyspace.NewDurations(keyspace.Prefixes{}, second(0))
	course(true, func(now time.Time, effects []keyspace.Effect) { durations.Observe(cluster, now, effects) }, observed...)
	metrics := pmetric.NewMetricSlice()
	durations.AppendTo(metrics, 1)
	exemplars := 0
	for _, metric := range metrics.All() {
		for _, point := range metric.Histogram().DataPoints().All() {
			for _, e := range point.Exemplars().All() {
				exemplars++
				assert.Equal(t, e.TraceID(), spans[e.SpanID()], metric.Name())
			}
		}
	}
	assert.Equal(t, 4, exemplars, "a wait, a hold, a term, and what a lease had left")
}

// Events are reported in the order of the effects, and the settings say which.
func TestTheOrderOfEvents(t *testing.T) {
	names := func(config metadata.LogsBuilderConfig) (names []string) {
		_, logs := render(config, true, list(1), watched(
			put(key.Key{Name: "/app/x", Created: 2, Modified: 2, Version: 1, Lease: 0xa}, 1), put(lockKey(0xa, 3), 0), deleted("/app/x", 4),
			put(key.Key{Name: "/app/b", Created: 5, Modified: 5, Version: 1}, 1), put(lockKey(0xb, 6), 0),
		))
		for _, rl := range logs.ResourceLogs().All() {
			assert.Equal(t, 1, rl.ScopeLogs().Len())
			assert.Equal(t, metadata.ScopeName, rl.ScopeLogs().At(0).Scope().Name())
			assert.Equal(t, 2, rl.Resource().Attributes().Len())
			for _, event := range rl.ScopeLogs().At(0).LogRecords().All() {
				names = append(names, strings.TrimPrefix(event.EventName(), "etcd."))
			}
		}
		return names
	}
	config := metadata.DefaultLogsBuilderConfig()
	assert.Equal(t, []string{
		"lease.granted", "key.put", "lock.queued", "lock.acquired", "key.delete", "key.put", "lease.granted", "lock.queued",
	}, names(config))
	config.Events.EtcdKeyPut.Enabled, config.Events.EtcdLeaseGranted.Enabled = false, false
	assert.Equal(t, []string{"lock.queued", "lock.acquired", "key.delete", "lock.queued"}, names(config))
	config.Events.EtcdKeyDelete.Enabled = false
	assert.Equal(t, []string{"lock.queued", "lock.acquired", "lock.queued"}, names(config))
	config.ResourceAttributes.EtcdClusterID.EventsExclude = []filter.Config{{Strict: cluster}}
	assert.Empty(t, names(config), "events of the cluster are not wanted")
}

func TestADisabledEventLeavesTheSpans(t *testing.T) {
	config := metadata.DefaultLogsBuilderConfig()
	config.Events.EtcdLockQueued.Enabled = false
	config.Events.EtcdLockAcquired.Enabled = false
	traces, logs := renderKeys(config, list(1), watched(put(lockKey(0xa, 2), 0)))
	require.Equal(t, 2, traces.SpanCount())
	require.Zero(t, logs.LogRecordCount())
}

func TestEverySpanIsReportedOnceAndHasItsOwnID(t *testing.T) {
	traces, _ := renderKeys(metadata.DefaultLogsBuilderConfig(), list(1), watched(put(lockKey(0xa, 2), 0)), watched(deleted("/locks/deploy/a", 3)))
	seen := map[pcommon.SpanID]string{}
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			assert.Empty(t, seen[span.SpanID()])
			seen[span.SpanID()] = span.Name()
		}
	}
	assert.Len(t, seen, 4)
}
