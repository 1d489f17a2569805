// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// key is one key as etcd has it.
type key struct {
	name                              string
	created, modified, version, lease int64
	size                              int
}

func keyOf(kv *mvccpb.KeyValue) key {
	return key{
		name: string(kv.Key), created: kv.CreateRevision, modified: kv.ModRevision, version: kv.Version, lease: kv.Lease, size: len(kv.Value),
	}
}

// change is one change of one key. Of one that is deleted, name and modified are known.
type change struct {
	key
	deleted bool
	at      time.Time // when it was observed here
}

// epoch is one history of etcd: it ends when a backup is restored, or another cluster
// takes its place.
type epoch struct {
	from    int64          // the revision at which it begins
	common  int64          // up to this revision it is the one before
	began   time.Time      // not before this
	base    map[string]key // the keys then
	changes []change       // all after that, in etcd's order
}

// at returns the keys at a revision.
func (e *epoch) at(revision int64) map[string]key {
	keys := maps.Clone(e.base)
	for _, c := range e.changes {
		switch {
		case c.modified > revision:
			return keys
		case c.deleted:
			delete(keys, c.name)
		default:
			keys[c.name] = c.key
		}
	}
	return keys
}

// history is all that etcd changed, from its own watch.
type history struct {
	client *clientv3.Client

	mu     sync.Mutex
	epochs []*epoch
	seen   int64 // all changes up to it are known
	err    error
	stop   context.CancelFunc
	done   chan struct{}
}

// begin starts a history.
func (h *history) begin(ctx context.Context, e *epoch) {
	h.end()
	ctx, cancel := context.WithCancel(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epochs, h.seen, h.stop, h.done = append(h.epochs, e), e.from, cancel, make(chan struct{})
	go h.follow(ctx, e, h.done)
}

// end ends the history that goes on, if there is one.
func (h *history) end() {
	h.mu.Lock()
	stop, done := h.stop, h.done
	h.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

func (h *history) follow(ctx context.Context, e *epoch, done chan struct{}) {
	defer close(done)
	for answer := range h.client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(e.from+1), clientv3.WithFragment()) {
		now := time.Now()
		h.mu.Lock()
		if err := answer.Err(); err != nil && ctx.Err() == nil {
			h.err = errors.Join(h.err, fmt.Errorf("the oracle's own watch ended: %w", err))
		}
		for _, event := range answer.Events {
			c := change{key: keyOf(event.Kv), deleted: event.Type == clientv3.EventTypeDelete, at: now}
			e.changes = append(e.changes, c)
			h.seen = max(h.seen, c.modified)
		}
		h.mu.Unlock()
	}
}

// epoch returns the number of the present epoch.
func (h *history) epoch() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.epochs) - 1
}

func (h *history) revision() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// present returns the keys of now, as far as they are known.
func (h *history) present() map[string]key {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epochs[len(h.epochs)-1].at(h.seen)
}

// catchUp waits until all changes are known that etcd has now, and returns its revision.
func (h *history) catchUp(ctx context.Context) (int64, error) {
	var newest int64
	if !oracle.Until(ctx, 50*time.Millisecond, func() bool {
		asking, enough := context.WithTimeout(ctx, 2*time.Second)
		defer enough()
		answer, err := h.client.Get(asking, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
		if err != nil {
			return false
		}
		newest = answer.Header.Revision
		return true
	}) {
		return 0, ctx.Err()
	}
	waiting, enough := context.WithTimeout(ctx, time.Minute)
	defer enough()
	if !oracle.Until(waiting, 20*time.Millisecond, func() bool { return h.revision() >= newest }) {
		return 0, fmt.Errorf("the oracle's own watch is at revision %d of %d", h.revision(), newest)
	}
	return newest, nil
}

// all returns the epochs, as far as they are known.
func (h *history) all() (epochs []*epoch, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.epochs {
		copied := *e
		copied.changes = slices.Clone(e.changes)
		epochs = append(epochs, &copied)
	}
	return epochs, h.err
}

// hex writes an ID as etcdctl does.
func hex[ID int64 | uint64](id ID) string { return strconv.FormatUint(uint64(id), 16) }
