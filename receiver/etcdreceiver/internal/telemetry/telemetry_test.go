// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/filter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

const cluster = "cdf818194e3a8c32"

func lockKey(lease, created int64) state.Key {
	return state.Key{Name: fmt.Sprintf("/locks/deploy/%x", lease), Created: created, Modified: created, Version: 1, Lease: lease}
}

func put(k state.Key, size int) state.Change {
	k.Size = size
	return state.Change{Key: k}
}

func deleted(name string, revision int64) state.Change {
	return state.Change{Key: state.Key{Name: name, Modified: revision}, Deleted: true}
}

func list(revision int64, keys ...state.Key) state.Observation {
	return state.Observation{Prefix: "/", Revision: revision, Listed: true, Keys: keys}
}

func saw(changes ...state.Change) state.Observation {
	return state.Observation{Prefix: "/", Changes: changes}
}

func clusterResource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("etcd")
	rb.SetEtcdClusterID(cluster)
	return rb.Emit()
}

// course lets a machine step every ten seconds.
func course(follow bool, render func(now time.Time, effects []state.Effect), saw ...any) {
	machine := state.NewMachine(state.Prefixes{Watch: []string{"/app/"}, Locks: []string{"/locks/"}, Elections: []string{"/elections/"}}, state.Limits{Keys: 100, Leases: 100}, follow)
	for i, o := range saw {
		now := second(10 * i)
		switch o := o.(type) {
		case state.Observation:
			render(now, machine.Step(now, o))
		case state.LeaseObservation:
			render(now, machine.StepLeases(now, o))
		}
	}
}

func second(n int) time.Time { return time.Unix(1_000_000+int64(n), 0) }

// follow renders a course of what is seen of keys and leases.
func follow(saw ...any) (ptrace.Traces, plog.Logs) {
	return render(metadata.DefaultLogsBuilderConfig(), true, saw...)
}

// tell renders a course of what is seen of keys.
func tell(config metadata.LogsBuilderConfig, observations ...state.Observation) (ptrace.Traces, plog.Logs) {
	saw := make([]any, len(observations))
	for i, o := range observations {
		saw[i] = o
	}
	return render(config, false, saw...)
}

func render(config metadata.LogsBuilderConfig, follow bool, saw ...any) (ptrace.Traces, plog.Logs) {
	story := NewStory(config, receivertest.NewNopSettings(metadata.Type))
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	course(follow, func(now time.Time, effects []state.Effect) {
		told := story.Render(now, cluster, clusterResource(), effects)
		told.Traces.ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
		told.Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}, saw...)
	return traces, logs
}

// alive and gone are answers to questions of a second.
func alive(id int64, at int, ttl, remaining int64) state.Answer {
	return state.Answer{ID: id, At: second(at), TTL: ttl, Remaining: remaining}
}

func gone(id int64, at int) state.Answer { return state.Answer{ID: id, At: second(at), Remaining: -1} }

func asked(answers ...state.Answer) state.LeaseObservation {
	return state.LeaseObservation{Answers: answers}
}

func and(o state.Observation, answers ...state.Answer) state.Observation {
	o.Answers = answers
	return o
}

func late(o state.Observation, revision int64) state.Observation {
	o.Late = revision
	return o
}

func TestALockThatTwoContendFor(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(1),
		saw(put(lockKey(0xb, 2), 0)),
		saw(put(lockKey(0xa, 3), 0), put(lockKey(0xc, 4), 0)),
		saw(deleted("/locks/deploy/c", 5)),
		saw(deleted("/locks/deploy/b", 6)),
		saw(deleted("/locks/deploy/a", 7)),
	)
	goldentest.Traces(t, "one holds a lock, one waits for it, one gives up", traces)
	goldentest.Logs(t, "one holds a lock, one waits for it, one gives up", logs)
}

func TestALockThatWasHeldBefore(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(3, lockKey(0xa, 3), lockKey(0xb, 2)),
		saw(deleted("/locks/deploy/b", 4)),
		saw(deleted("/locks/deploy/a", 5)),
	)
	goldentest.Traces(t, "a lock that was held before is told at its end", traces)
	goldentest.Logs(t, "a lock that was held before is told at its end", logs)
}

func TestKeysThatChange(t *testing.T) {
	_, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(1),
		saw(
			put(state.Key{Name: "/app/b", Created: 2, Modified: 2, Version: 1}, 5),
			deleted("/app/b", 3),
			put(state.Key{Name: "/app/a", Created: 4, Modified: 4, Version: 1, Lease: 0x7587}, 0),
			put(state.Key{Name: "/app/a", Created: 4, Modified: 5, Version: 2, Lease: 0x7587}, 1024),
			put(state.Key{Name: "/other", Created: 6, Modified: 6, Version: 1}, 5),
			put(state.Key{Name: "/app/\xff", Created: 7, Modified: 7, Version: 1}, 5),
		),
	)
	goldentest.Logs(t, "keys are created, changed and deleted", logs)
}

func TestAGap(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(1),
		saw(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), put(state.Key{Name: "/app/a", Created: 4, Modified: 4, Version: 1}, 5)),
		list(90, state.Key{Name: "/app/b", Created: 80, Modified: 81, Version: 2}, lockKey(0xb, 3)),
	)
	goldentest.Traces(t, "a gap hides a release and two changes", traces)
	goldentest.Logs(t, "a gap hides a release and two changes", logs)
}

func candidate(lease, created, modified int64) state.Key {
	return state.Key{Name: fmt.Sprintf("/elections/leader/%x", lease), Created: created, Modified: modified, Version: 1 + modified - created, Lease: lease}
}

func TestAnElectionWhoseLeaderIsLost(t *testing.T) {
	traces, logs := follow(
		list(1),
		saw(put(candidate(0xa, 2, 2), 4), put(candidate(0xb, 3, 3), 4), put(candidate(0xc, 4, 4), 4)),
		asked(alive(0xa, 20, 10, 9), alive(0xb, 20, 60, 59)),
		saw(put(candidate(0xa, 2, 5), 5), deleted("/elections/leader/c", 6)),
		and(saw(deleted("/elections/leader/a", 7)), gone(0xa, 40)),
		saw(deleted("/elections/leader/b", 8)),
	)
	goldentest.Traces(t, "a leader is lost, the next one resigns, a candidate gives up", traces)
	goldentest.Logs(t, "a leader is lost, the next one resigns, a candidate gives up", logs)
}

func TestALeaderThatLedBefore(t *testing.T) {
	traces, logs := follow(list(3, put(candidate(0xa, 2, 2), 4).Key), saw(deleted("/elections/leader/a", 4)))
	goldentest.Traces(t, "a leader that led before resigns", traces)
	goldentest.Logs(t, "a leader that led before resigns", logs)
}

func TestTheLivesOfLeases(t *testing.T) {
	app := func(name string, lease, created int64) state.Change {
		return put(state.Key{Name: "/app/" + name, Created: created, Modified: created, Version: 1, Lease: lease}, 5)
	}
	traces, logs := follow(
		list(2, app("before", 0xd, 2).Key),
		saw(app("one", 0xa, 3), app("\xff", 0xa, 4), app("two", 0xb, 5), app("three", 0xc, 6)),
		asked(alive(0xa, 20, 10, 9), alive(0xb, 20, 60, 59)),
		asked(gone(0xb, 30)),
		saw(deleted("/app/two", 7), deleted("/app/one", 8), deleted("/app/\xff", 8)),
		asked(gone(0xa, 50)),
		late(saw(deleted("/app/three", 9), deleted("/app/before", 10)), 9),
		asked(gone(0xc, 70), gone(0xd, 70)),
	)
	goldentest.Traces(t, "one lease expires, one is revoked, two end somehow", traces)
	goldentest.Logs(t, "one lease expires, one is revoked, two end somehow", logs)
}

func TestALockThatIsLostWithItsLease(t *testing.T) {
	traces, logs := follow(
		list(1),
		saw(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), put(lockKey(0xc, 4), 0)),
		asked(alive(0xa, 20, 10, 5), alive(0xb, 20, 60, 59), alive(0xc, 20, 10, 5)),
		and(saw(deleted("/locks/deploy/a", 5), deleted("/locks/deploy/c", 6)), gone(0xa, 30), gone(0xc, 30)),
		saw(deleted("/locks/deploy/b", 7)),
	)
	goldentest.Traces(t, "a holder and a waiter lose their leases, another waiter follows", traces)
	goldentest.Logs(t, "a holder and a waiter lose their leases, another waiter follows", logs)
}

func TestAttemptsOfBeforeTheWatch(t *testing.T) {
	traces, logs := follow(
		list(1),
		late(saw(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), deleted("/locks/deploy/a", 4)), 4),
		late(saw(deleted("/locks/deploy/b", 5)), 4),
	)
	goldentest.Traces(t, "attempts at a lock before the watch was opened", traces)
	goldentest.Logs(t, "attempts at a lock before the watch was opened", logs)
}

func TestDurations(t *testing.T) {
	prefixes := state.Prefixes{Locks: []string{"/locks/", "/quiet/"}, Elections: []string{"/elections/"}}
	durations := NewDurations(prefixes, second(-5))
	course(true, func(_ time.Time, effects []state.Effect) { durations.Observe(cluster, effects) },
		list(3, lockKey(0xd, 2), put(candidate(0xd, 3, 3), 4).Key), // What began before has no known duration,
		saw(put(lockKey(0xa, 4), 0), put(lockKey(0xb, 5), 0), put(candidate(0xa, 6, 6), 4)),
		asked(alive(0xa, 20, 10, 9), alive(0xb, 20, 60, 59)),
		asked(alive(0xb, 30, 60, 40)),
		saw(deleted("/locks/deploy/d", 7), deleted("/elections/leader/d", 8)),
		late(saw(put(lockKey(0xe, 9), 0)), 9), // and what is late has none either, but for a hold that begins in time.
		saw(deleted("/locks/deploy/a", 10), deleted("/elections/leader/a", 11)),
		saw(deleted("/locks/deploy/b", 12)),
		saw(deleted("/locks/deploy/e", 13)),
		saw(put(state.Key{Name: "/app/x/f", Created: 14, Modified: 14, Version: 1, Lease: 0xf}, 0), deleted("/app/x/f", 15)),
	)
	metrics := pmetric.NewMetrics()
	rm := metrics.ResourceMetrics().AppendEmpty()
	clusterResource().CopyTo(rm.Resource())
	durations.AppendTo(rm.ScopeMetrics().AppendEmpty().Metrics(), pcommon.NewTimestampFromTime(second(100)))
	goldentest.Metrics(t, "durations of locks, terms and leases", metrics)
}

// The exemplars of durations lead to spans that are told.
func TestExemplarsLeadToSpans(t *testing.T) {
	saw := []any{
		list(1), saw(put(lockKey(0xa, 2), 0), put(candidate(0xa, 3, 3), 4)), asked(alive(0xa, 20, 60, 59)),
		and(saw(deleted("/locks/deploy/a", 4), deleted("/elections/leader/a", 4)), gone(0xa, 30)),
	}
	traces, _ := follow(saw...)
	spans := map[pcommon.SpanID]pcommon.TraceID{}
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			spans[span.SpanID()] = span.TraceID()
		}
	}
	durations := NewDurations(state.Prefixes{}, second(0))
	course(true, func(_ time.Time, effects []state.Effect) { durations.Observe(cluster, effects) }, saw...)
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

// The events of keys are made by hand; the generated recorders would make the
// same ones.
func TestKeyEventsAreAsGenerated(t *testing.T) {
	const hash = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
	lock, leader := &state.Attempt{Lock: "/locks/deploy", Key: "/locks/deploy/a", Lease: 0xa, Created: 2}, &state.Attempt{Lock: "/l", Key: "/l/a", Election: true, Created: 3}
	settings := receivertest.NewNopSettings(metadata.Type)
	for name, e := range map[string]state.Effect{
		"created":              {Kind: state.KeyPut, Created: true, Change: state.Change{Key: state.Key{Name: "/app/a", Version: 1, Size: 5}}},
		"changed":              {Kind: state.KeyPut, Change: state.Change{Key: state.Key{Name: "/app/a", Version: 2}}},
		"with all there is":    {Kind: state.KeyPut, Reconciled: true, Change: state.Change{Fingerprint: hash, Key: state.Key{Name: "/app/ä", Version: 2, Lease: -1, Size: 7}}},
		"of a lock":            {Kind: state.KeyPut, Attempt: lock, Change: state.Change{Key: lockKey(0xa, 2)}},
		"of an election":       {Kind: state.KeyPut, Attempt: leader, Change: state.Change{Key: state.Key{Name: "/l/a", Version: 2, Lease: 0xa}}},
		"deleted":              {Kind: state.KeyDeleted, Change: state.Change{Key: state.Key{Name: "/app/a", Version: 2, Lease: 0xa, Size: 7}}},
		"deleted, of a lock":   {Kind: state.KeyDeleted, Attempt: lock, Reconciled: true, Change: state.Change{Key: lockKey(0xa, 2)}},
		"nobody knew of it":    {Kind: state.KeyDeleted, Change: state.Change{Key: state.Key{Name: "/app/a"}}},
		"deleted, of a leader": {Kind: state.KeyDeleted, Attempt: leader, Change: state.Change{Key: state.Key{Name: "/l/a", Version: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			e.At, e.Revision = second(1), 9
			told := NewStory(metadata.DefaultLogsBuilderConfig(), settings).Render(second(2), cluster, clusterResource(), []state.Effect{e}).Logs
			require.Equal(t, 1, told.LogRecordCount())

			generated := metadata.NewLogsBuilder(metadata.DefaultLogsBuilderConfig(), settings)
			ctx, key, at, line := context.Background(), e.Change.Key, pcommon.NewTimestampFromTime(e.At), "key "+text(e.Change.Key.Name)
			switch e.Attempt {
			case leader:
				ctx = (&teller{cluster: cluster}).term(*leader).Context()
			case lock:
				ctx = (&teller{cluster: cluster}).attempt(*lock).Context()
			}
			if e.Kind == state.KeyDeleted {
				line += " deleted"
				generated.RecordEtcdKeyDeleteEvent(ctx, at, text(key.Name), e.Revision, key.Version, hex(key.Lease), int64(key.Size), e.Reconciled)
			} else {
				line += map[bool]string{true: " created", false: " changed"}[e.Created]
				generated.RecordEtcdKeyPutEvent(ctx, at, text(key.Name), e.Created, e.Revision, key.Version, hex(key.Lease), int64(key.Size), e.Change.Fingerprint, e.Reconciled)
			}
			want := eventlog.Complete(generated.Emit(metadata.WithLogsResource(clusterResource())), second(2), func(event plog.LogRecord) (plog.SeverityNumber, string) {
				uid := spanid.Trace(event.EventName(), cluster, text(key.Name), "9")
				event.Attributes().PutStr("log.record.uid", uid.String())
				event.Attributes().RemoveIf(func(name string, _ pcommon.Value) bool {
					return key.Version == 0 && (name == "etcd.version" || name == "etcd.value.size")
				})
				return plog.SeverityNumberInfo, line
			})
			require.NoError(t, plogtest.CompareLogs(want, told))
			assert.Equal(t, want, told, "also in the order of the attributes")
		})
	}
}

// The generated builder sorts the events that it makes by their names.
func TestTheOrderOfElections(t *testing.T) {
	led := func(kind state.Kind, election bool, cause state.EndCause) state.Effect {
		return state.Effect{Kind: kind, At: second(1), Attempt: &state.Attempt{Election: election, Key: "/x", Acquired: second(0), Ended: second(1), Cause: cause}}
	}
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	told := story.Render(second(2), cluster, clusterResource(), []state.Effect{
		led(state.LockAcquired, false, 0), led(state.LockAcquired, true, 0), led(state.LockAcquired, false, 0),
		led(state.LockReleased, false, 0), led(state.LockReleased, true, state.Released), led(state.LockReleased, true, state.LeaseExpired), led(state.LockReleased, false, 0),
	})
	var names []string
	eventlog.Each(told.Logs, func(event plog.LogRecord) { names = append(names, strings.TrimPrefix(event.EventName(), "etcd.")) })
	assert.Equal(t, []string{
		"lock.acquired", "election.elected", "lock.acquired", "lock.released", "election.resigned", "election.lost", "lock.released",
	}, names)
}

// Events are told in the order of the effects, and the settings say which.
func TestTheOrderOfEvents(t *testing.T) {
	names := func(config metadata.LogsBuilderConfig) (names []string) {
		_, logs := render(config, true, list(1), saw(
			put(state.Key{Name: "/app/x", Created: 2, Modified: 2, Version: 1, Lease: 0xa}, 1), put(lockKey(0xa, 3), 0), deleted("/app/x", 4),
			put(state.Key{Name: "/app/b", Created: 5, Modified: 5, Version: 1}, 1), put(lockKey(0xb, 6), 0),
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
	traces, logs := tell(config, list(1), saw(put(lockKey(0xa, 2), 0)))
	require.Equal(t, 2, traces.SpanCount())
	require.Zero(t, logs.LogRecordCount())
}

func TestEverySpanIsToldOnceAndHasItsOwnID(t *testing.T) {
	traces, _ := tell(metadata.DefaultLogsBuilderConfig(), list(1), saw(put(lockKey(0xa, 2), 0)), saw(deleted("/locks/deploy/a", 3)))
	seen := map[pcommon.SpanID]string{}
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			assert.Empty(t, seen[span.SpanID()])
			seen[span.SpanID()] = span.Name()
		}
	}
	assert.Len(t, seen, 4)
}
