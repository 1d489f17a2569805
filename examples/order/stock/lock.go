// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// locked calls change while it holds the lock of an item. As long as it does,
// owner is true in etcd: a transaction with it changes nothing after the lock
// was lost.
func (s *stock) locked(ctx context.Context, item string, change func(ctx context.Context, owner clientv3.Cmp) error) (err error) {
	session, err := s.sessions.get()
	if err != nil {
		return err
	}
	name := attribute.String("etcd.lock.name", locks+item)
	ctx, span := tracer.Start(ctx, "lock stock", trace.WithAttributes(name))
	defer func() { end(span, err) }()
	// Whoever waits or works without a session does so for nothing.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(session.Ctx(), func() { cancel(errNoSession) })()

	waitCtx, wait := tracer.Start(ctx, "wait for lock", trace.WithAttributes(name))
	owner, holder, err := s.lock(waitCtx, session, item)
	if holder != "" {
		attribute := attribute.String("etcd.lock.holder", holder)
		span.SetAttributes(attribute)
		wait.SetAttributes(attribute)
	}
	end(wait, err)
	if err != nil {
		return fmt.Errorf("lock the stock of %s: %w", item, err)
	}

	// The collector's spans of the lock have the same two.
	key := trace.WithAttributes(
		attribute.String("etcd.lock.key", string(owner.KeyBytes())), attribute.Int64("etcd.revision", enqueued(owner)))
	ctx, hold := tracer.Start(ctx, "hold lock", trace.WithAttributes(name), key)
	defer func() {
		s.unlock(ctx, session, item)
		end(hold, err)
	}()
	select { // as if there were more to do
	case <-time.After(time.Duration(s.hold.Load())):
	case <-ctx.Done():
		return fmt.Errorf("hold the lock of %s: %w", item, context.Cause(ctx))
	}
	return change(ctx, owner)
}

// lock waits for the lock of an item, first in this process and then in etcd:
// there, all requests with one session are the same holder. holder is the
// instance that had the lock when this one began to wait; empty if it did not.
func (s *stock) lock(ctx context.Context, session *concurrency.Session, item string) (owner clientv3.Cmp, holder string, err error) {
	turn := s.turn(item)
	select {
	case turn <- struct{}{}:
	default:
		holder = s.sessions.instance
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return owner, holder, context.Cause(ctx)
		}
	}
	mutex := concurrency.NewMutex(session, locks+item)
	if err := mutex.Lock(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		s.unlock(ctx, session, item)
		return owner, holder, err
	}
	owner = mutex.IsOwner()
	if began := enqueued(owner); began != mutex.Header().Revision {
		holder = s.holderAt(ctx, item, began)
	}
	return owner, holder, nil
}

// enqueued is the revision at which the owner of a lock began to wait for it.
func enqueued(owner clientv3.Cmp) int64 { return owner.GetCompare().GetCreateRevision() }

// unlock gives the lock back, also when it was not got, or the request was given
// up: otherwise it, or a place in its queue, would stay as long as the session.
// If etcd cannot be reached, the session is given up, and the lock goes with its lease.
func (s *stock) unlock(ctx context.Context, session *concurrency.Session, item string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	// As Mutex.Unlock does, which does nothing when Lock failed.
	if _, err := s.client.Delete(ctx, locks+item+"/"+leaseID(session.Lease())); err != nil {
		slog.Warn("a lock was not released and expires with the etcd session", "lock", locks+item, "error", err)
		session.Orphan()
	}
	<-s.turn(item)
}

// holderAt returns the instance that held the lock of an item at a revision: the
// one that is registered with the lease of the lock's oldest key.
func (s *stock) holderAt(ctx context.Context, item string, revision int64) string {
	const unknown = "unknown" // such as when etcd has compacted the revision
	got, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(locks+item+"/", append(clientv3.WithFirstCreate(), clientv3.WithRev(revision))...),
		clientv3.OpGet(instances, clientv3.WithPrefix(), clientv3.WithRev(revision)),
	).Commit()
	if err != nil || len(got.Responses[0].GetResponseRange().Kvs) == 0 {
		return unknown
	}
	lease := got.Responses[0].GetResponseRange().Kvs[0].Lease
	for _, registration := range got.Responses[1].GetResponseRange().Kvs {
		if registration.Lease == lease {
			return strings.TrimPrefix(string(registration.Key), instances)
		}
	}
	return unknown
}

// turn is a channel with room for the one request of this instance that may lock the item.
func (s *stock) turn(item string) chan struct{} {
	turn, _ := s.turns.LoadOrStore(item, make(chan struct{}, 1))
	return turn.(chan struct{})
}
