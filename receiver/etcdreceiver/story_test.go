// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

func TestThreeContendForALockInARealEtcd(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	lockers := []*locker{newLocker(t, client), newLocker(t, client), newLocker(t, client)}
	for _, l := range lockers {
		l.lock(t.Context())
		o.Eventually(t, "queued", o.HasEvent("etcd.lock.queued", "etcd.lock.key", l.key))
	}
	impatient, cancel := context.WithCancel(t.Context())
	quitter := newLocker(t, client)
	quitter.lock(impatient)
	o.Eventually(t, "the marker, while it waits", o.hasSpan(lock.SpanAttempt+".start", quitter.key))
	cancel()
	o.Eventually(t, "abandoned", o.HasEvent("etcd.lock.abandoned", "etcd.lock.key", quitter.key))
	require.ErrorIs(t, newLocker(t, client).mutex.TryLock(t.Context()), concurrency.ErrLocked)
	for _, l := range lockers {
		l.acquired(t)
		l.unlock(t)
	}

	var last ptrace.Span
	for i, l := range lockers {
		o.Eventually(t, "the whole attempt", o.hasSpan(lock.SpanAttempt, l.key))
		attempt, _ := o.span(lock.SpanAttempt, l.key)
		wait, waited := o.span(lock.SpanWait, l.key)
		hold, held := o.span(lock.SpanHold, l.key)
		require.True(t, waited && held)
		assert.Equal(t, strconv.Itoa(i), value(wait.Attributes(), "etcd.lock.queue.position"))
		assert.Equal(t, "/locks/deploy", value(attempt.Attributes(), "etcd.lock.name"))
		assert.Equal(t, ptrace.StatusCodeUnset, attempt.Status().Code())
		for _, part := range []ptrace.Span{wait, hold} {
			assert.Equal(t, attempt.TraceID(), part.TraceID())
			assert.Equal(t, attempt.SpanID(), part.ParentSpanID())
		}
		assert.Equal(t, attempt.StartTimestamp(), wait.StartTimestamp())
		if i == 0 { // The lock was free: the wait has the least length that a span can have.
			assert.Equal(t, wait.StartTimestamp()+1, wait.EndTimestamp())
			assert.Equal(t, wait.StartTimestamp(), hold.StartTimestamp())
		} else {
			assert.Equal(t, wait.EndTimestamp(), hold.StartTimestamp())
		}
		// What is read at once was held for no time, and a span has a length of 1 ns at least.
		assert.WithinDuration(t, hold.EndTimestamp().AsTime(), attempt.EndTimestamp().AsTime(), time.Nanosecond)
		if i > 0 {
			assert.WithinDuration(t, last.EndTimestamp().AsTime(), hold.StartTimestamp().AsTime(), time.Nanosecond, "the next one holds when the last one releases")
		}
		last = hold
		assert.Equal(t, []string{"etcd.lock.queued", "etcd.lock.acquired", "etcd.lock.released"}, o.reported("etcd.lock.key", l.key))
	}
	given, _ := o.span(lock.SpanAttempt, quitter.key)
	assert.Equal(t, ptrace.StatusCodeUnset, given.Status().Code(), "to give up is no fault")
	hold, _ := o.span(lock.SpanHold, lockers[0].key)
	require.Equal(t, 1, given.Links().Len())
	assert.Equal(t, hold.SpanID(), given.Links().At(0).SpanID(), "it leads to who held the lock then")
	for _, event := range o.Events("") {
		if strings.HasPrefix(event.EventName(), "etcd.lock.") {
			assert.False(t, event.TraceID().IsEmpty())
			assert.Equal(t, plog.SeverityNumberInfo, event.SeverityNumber())
		}
	}
}

func TestALockThatIsHeldBefore(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	holder, waiter := newLocker(t, client), newLocker(t, client)
	require.NoError(t, holder.mutex.Lock(t.Context()))
	waiter.lock(t.Context())
	require.Eventually(t, func() bool {
		answer, err := client.Get(t.Context(), "/locks/", clientv3.WithPrefix())
		return err == nil && len(answer.Kvs) == 2
	}, soon, 20*time.Millisecond)
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	assert.Empty(t, o.reported("etcd.lock.name", "/locks/deploy"), "the baseline is not news")

	holder.unlock(t)
	waiter.acquired(t)
	waiter.unlock(t)
	o.Eventually(t, "the end of the attempt that waited", o.hasSpan(lock.SpanAttempt, waiter.key))
	for name, want := range map[string]string{lock.SpanAttempt: "true", lock.SpanWait: "true", lock.SpanHold: ""} {
		span, _ := o.span(name, waiter.key)
		assert.Equal(t, want, value(span.Attributes(), period.AttrBeganBeforeObservation), name)
	}
	held, _ := o.span(lock.SpanHold, holder.key)
	assert.Equal(t, "true", value(held.Attributes(), period.AttrBeganBeforeObservation))
	assert.False(t, o.hasSpan(lock.SpanWait, holder.key)(), "how long the holder waited is not known")
}

func TestEveryChangeIsToldInItsOrder(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	const changes = 1500
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			key := fmt.Sprint("/app/", w)
			for i := range changes / 3 {
				if i%5 == 4 {
					remove(t, client, key)
				} else {
					set(t, client, key, "s3cret")
				}
				if i%7 == 0 {
					set(t, client, "/elsewhere", "s3cret")
				}
			}
		})
	}
	writers.Wait()
	of := func() (events []plog.LogRecord) {
		for _, event := range o.Events("") {
			if key := value(event.Attributes(), "etcd.key.name"); key != "" && key != "/app/ready" {
				events = append(events, event)
			}
		}
		return events
	}
	o.Eventually(t, "all of them", func() bool { return len(of()) >= changes })
	events := of()
	require.Len(t, events, changes)
	last := int64(0)
	for _, event := range events {
		revision, _ := event.Attributes().Get("etcd.revision")
		require.Greater(t, revision.Int(), last)
		last = revision.Int()
		assert.NotContains(t, fmt.Sprint(event.Attributes().AsRaw()), "s3cret")
		if event.EventName() == "etcd.key.put" {
			assert.Equal(t, "6", value(event.Attributes(), "etcd.value.size"))
		}
	}
}

func TestHundredsContendForALock(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{ExtraArgs: []string{"--unsafe-no-fsync"}})
	o := observe(t, configFor(etcd.Endpoints...))
	from := o.watching(t, client)
	const clients = 300
	var contenders sync.WaitGroup
	for range clients {
		contenders.Go(func() {
			session, err := concurrency.NewSession(client)
			if err != nil {
				t.Error(err)
				return
			}
			mutex := concurrency.NewMutex(session, "/locks/wanted")
			if err := errors.Join(mutex.Lock(t.Context()), mutex.Unlock(t.Context()), session.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	contenders.Wait()
	o.requireTruth(t, client, from)

	positions, waiting := map[string]int{}, 0
	for _, c := range history(t, client, "/locks/wanted/", from) {
		if c.What == "etcd.key.put" {
			positions[c.Key] = waiting
			waiting++
		} else {
			waiting--
		}
	}
	require.Len(t, positions, clients)
	// Spans are reported after the events of their step.
	o.Eventually(t, "the last hold", func() bool { return len(o.Spans(lock.SpanHold, "etcd.lock.name", "/locks/wanted")) >= clients })
	holds := o.Spans(lock.SpanHold, "etcd.lock.name", "/locks/wanted")
	require.Len(t, holds, clients)
	require.Len(t, o.Spans(lock.SpanAttempt, "etcd.lock.name", "/locks/wanted"), clients)
	require.Len(t, o.Spans(lock.SpanWait, "etcd.lock.name", "/locks/wanted"), clients)
	revision := int64(0)
	for i, hold := range holds {
		key := value(hold.Attributes(), "etcd.lock.key")
		created, _ := hold.Attributes().Get("etcd.revision")
		require.Greater(t, created.Int(), revision, "they hold in the order in which they came")
		revision = created.Int()
		attempt, _ := o.span(lock.SpanAttempt, key)
		wait, _ := o.span(lock.SpanWait, key)
		assert.Equal(t, strconv.Itoa(positions[key]), value(wait.Attributes(), "etcd.lock.queue.position"))
		// A span has a length of 1 ns at least.
		assert.WithinDuration(t, attempt.StartTimestamp().AsTime(), wait.StartTimestamp().AsTime(), time.Nanosecond)
		assert.WithinDuration(t, wait.EndTimestamp().AsTime(), hold.StartTimestamp().AsTime(), time.Nanosecond)
		assert.WithinDuration(t, hold.EndTimestamp().AsTime(), attempt.EndTimestamp().AsTime(), time.Nanosecond)
		if i > 0 && positions[key] > 0 {
			assert.WithinDuration(t, holds[i-1].EndTimestamp().AsTime(), hold.StartTimestamp().AsTime(), time.Nanosecond, "when the one before releases")
			require.Equal(t, 1, attempt.Links().Len())
			assert.Equal(t, holds[i-1].SpanID(), attempt.Links().At(0).SpanID())
		}
		assert.NotEqual(t, "lease_expired", value(hold.Attributes(), "etcd.lock.end.cause"), "there is no time to ask for each lease, but none expired")
	}
}
