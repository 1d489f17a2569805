// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// counts waits until so many hold locks, and so many wait.
func (o *observed) counts(t *testing.T, holders, waiters int64) {
	t.Helper()
	o.Eventually(t, "the number of holders", o.HasValue(holders, "etcd.lock.holder.count", "etcd.watch.prefix", "/locks/"))
	o.Eventually(t, "the number of waiters", o.HasValue(waiters, "etcd.lock.waiter.count", "etcd.watch.prefix", "/locks/"))
}

func (o *observed) event(t *testing.T, name, key string) pcommon.Map {
	t.Helper()
	o.Eventually(t, name, o.HasEvent(name, "etcd.lock.key", key))
	return o.Events(name, "etcd.lock.key", key)[0].Attributes()
}

// As `etcdctl put /locks/path/1 x; etcdctl lock /locks/path`, which waits.
func TestALockWaitsForEachOlderKeyUnderItsName(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	set(t, client, "/locks/path/1", "x")
	within := newLockerOf(t, client, "/locks/path/within", 60)
	within.take(t)
	waiter := newLockerOf(t, client, "/locks/path", 60)
	waiter.lock(t.Context())
	queued := o.event(t, "etcd.lock.queued", waiter.key)
	assert.Equal(t, "/locks/path/1", value(queued, "etcd.lock.holder.key"))
	assert.Equal(t, "2", value(queued, "etcd.lock.queue.position"))
	o.counts(t, 1, 1)
	try := newLockerOf(t, client, "/locks/path", 60)
	require.ErrorIs(t, try.mutex.TryLock(t.Context()), concurrency.ErrLocked)
	assert.Equal(t, "/locks/path/1", value(o.event(t, "etcd.lock.abandoned", try.key), "etcd.lock.holder.key"))

	remove(t, client, "/locks/path/1")
	o.counts(t, 1, 1)
	assert.Empty(t, waiter.held, "the lock within holds it up")
	within.unlock(t)
	waiter.acquired(t)
	assert.Equal(t, within.key, value(o.event(t, "etcd.lock.acquired", waiter.key), "etcd.lock.holder.key"))
	o.counts(t, 1, 0)
	waiter.unlock(t)
	o.counts(t, 0, 0)
	o.Eventually(t, "the attempt", o.hasSpan(lock.SpanAttempt, waiter.key))
	attempt, _ := o.span(lock.SpanAttempt, waiter.key)
	before, _ := o.span(lock.SpanAttempt, within.key)
	require.Equal(t, 1, attempt.Links().Len())
	assert.Equal(t, before.SpanID(), attempt.Links().At(0).SpanID())
}

func TestATryThatFailsIsNoError(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	holder, try := newLocker(t, client), newLocker(t, client)
	holder.take(t)
	require.ErrorIs(t, try.mutex.TryLock(t.Context()), concurrency.ErrLocked)
	o.event(t, "etcd.lock.abandoned", try.key)
	abandoned := o.Events("etcd.lock.abandoned", "etcd.lock.key", try.key)[0]
	assert.Equal(t, plog.SeverityNumberInfo, abandoned.SeverityNumber())
	assert.Equal(t, holder.key, value(abandoned.Attributes(), "etcd.lock.holder.key"))
	holder.unlock(t)
	for _, l := range []*locker{try, holder} {
		o.Eventually(t, "the attempt", o.hasSpan(lock.SpanAttempt, l.key))
	}
	attempt, _ := o.span(lock.SpanAttempt, try.key)
	hold, _ := o.span(lock.SpanHold, holder.key)
	assert.Equal(t, ptrace.StatusCodeUnset, attempt.Status().Code())
	require.Equal(t, 1, attempt.Links().Len())
	assert.Equal(t, hold.SpanID(), attempt.Links().At(0).SpanID())
	assert.Equal(t, hold.TraceID(), attempt.Links().At(0).TraceID())
}
