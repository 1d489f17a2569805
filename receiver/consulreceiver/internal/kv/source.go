// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package kv observes the keys of the KV store, and who holds them as locks.
package kv

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

// Endpoint is the part of the API that is watched, followed by the prefix.
const Endpoint = "kv/"

// minPause is between two reads of few keys. It is short, because the end of a hold
// is known for sure only if it is observed by itself.
const minPause = 10 * time.Millisecond

// Sessions knows sessions.
type Sessions interface {
	// Session returns the name and the node of a session; no node: it is not known.
	Session(id string) (name, node string)
	// Lists returns what the lists of all sessions show.
	Lists() *sessionlist.Lists
}

// Kind returns what observes the keys under a prefix whose names are selected.
// sessions returns nil when sessions are not observed.
func Kind(cfg Config, names pattern.Matcher, prefix string, sessions func(*collect.Env) Sessions) collect.Kind {
	return collect.Kind{Enabled: true, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return &collector{Env: e, cfg: cfg, prefix: prefix, names: names, sessions: sessions(e), keys: Keys{EmitInitial: e.EmitInitial}}
	}}
}

type collector struct {
	*collect.Env
	cfg      Config
	prefix   string
	names    pattern.Matcher
	sessions Sessions
	evidence Evidence // about the keys of the last read

	mu   sync.Mutex
	keys Keys
}

// Run implements collect.Collector.
func (c *collector) Run(ctx context.Context) {
	slot := collect.Slot[SavedHolds](c.Env, "keys", c.prefix)
	fresh := func() *Keys { return &Keys{EmitInitial: c.EmitInitial} }
	collect.Watch[string, Key, Effect]{
		Env: c.Env, Endpoint: Endpoint + c.prefix, Read: c.read, Compare: cmp.Compare[string],
		IndexOf:  func(key Key) uint64 { return key.ModifyIndex },
		Limit:    collect.Limit{Object: metadata.AttributeObjectKey, Max: c.cfg.Limit, Setting: "kv::limit"},
		MinPause: minPause,
		Lock:     &c.mu,
		Step: func(now time.Time, o snapshot.Observation[string, Key]) (*snapshot.Gap, []Effect) {
			return c.keys.Step(now, o, c.evidence)
		},
		Fork:   func() watch.Fork[watchStep] { return watch.ForkOf(&c.mu, c.keys.Clone(), c.stepApart) },
		Kept:   watch.Keep(ctx, slot, &c.mu, &c.keys, fresh, c.stepApart),
		Render: Render,
	}.Run(ctx)
}

type watchStep = collect.Step[string, Key, Effect]

// stepApart returns what steps the keys of a signal that goes on by itself. How holds
// ended is known for the observation that the common step takes in too, and not any more
// when others were left out before. What is known of clients proves no end.
func (c *collector) stepApart(keys *Keys) watchStep {
	return func(now time.Time, o snapshot.Observation[string, Key]) (*snapshot.Gap, []Effect) {
		if o.Gap || !keys.Begun() {
			return keys.Step(now, o, Evidence{Clients: c.evidence.Clients})
		}
		return keys.Step(now, o, c.evidence)
	}
}

// read reads the keys from the leader, which has each change first. When a hold
// or a wait ends, it reads what shows how.
func (c *collector) read(ctx context.Context, client *consulapi.Client, q consulapi.Query) (collect.Result[string, Key], error) {
	q.Leader = true
	result, newest, err := read(ctx, client, q, c.prefix, c.names, c.cfg.Fingerprint)
	if err != nil {
		return result, err
	}
	c.mu.Lock()
	needs := c.keys.Needs(result.Objects)
	c.mu.Unlock()
	c.evidence = Evidence{}
	if len(needs.Sessions) > 0 {
		var listed int
		c.evidence, listed = c.readEvidence(ctx, needs)
		result.Read += listed
	}
	c.evidence.Newest = newest
	c.evidence.Clients = c.clients(result.Objects, needs)
	return result, nil
}

// clients returns what is known of the sessions that hold keys, or held them.
func (c *collector) clients(keys map[string]Key, needs Needs) map[string]Client {
	if c.sessions == nil {
		return nil
	}
	clients := map[string]Client{}
	add := func(session string) {
		if name, node := c.sessions.Session(session); node != "" {
			clients[session] = Client{Name: name, Node: node}
		}
	}
	for _, key := range keys {
		if key.Session != "" {
			add(key.Session)
		}
	}
	for _, session := range needs.Sessions {
		add(session)
	}
	return clients
}

// Read reads the keys under a prefix. Consul sends the values along; each is dropped
// at once. Only that of a semaphore's coordinating key is read.
func Read(ctx context.Context, c *consulapi.Client, q consulapi.Query, prefix string, names pattern.Matcher, fingerprint bool) (collect.Result[string, Key], error) {
	result, _, err := read(ctx, c, q, prefix, names, fingerprint)
	return result, err
}

// read returns also the index at which any key under the prefix was modified last.
func read(ctx context.Context, c *consulapi.Client, q consulapi.Query, prefix string, names pattern.Matcher, fingerprint bool) (result collect.Result[string, Key], newest uint64, err error) {
	keys := map[string]Key{}
	meta, err := readPairs(ctx, c, prefix, q, func(pair entry) {
		key := Key{
			Flags: pair.Flags, Session: pair.Session,
			LockIndex: pair.LockIndex, CreateIndex: pair.CreateIndex, ModifyIndex: pair.ModifyIndex,
		}
		if coordinates(pair.Key, key) {
			key.Slots = readSlots(pair.Value)
		}
		if fingerprint && names.Match(pair.Key) {
			sum := sha256.Sum256(pair.Value)
			key.Value = Fingerprint{SHA256: hex.EncodeToString(sum[:]), Size: len(pair.Value)}
		}
		keys[pair.Key] = key
		newest = max(newest, key.ModifyIndex)
	})
	if err != nil {
		return collect.Result[string, Key]{Meta: meta}, 0, err
	}
	at, all := time.Now(), len(keys)
	assignRoles(prefix, keys)
	maps.DeleteFunc(keys, func(name string, _ Key) bool { return !names.Match(name) })
	return collect.Result[string, Key]{Meta: meta, Objects: keys, At: at, Read: all}, newest, nil
}

// Record implements collect.Collector.
func (c *collector) Record(_ context.Context, m collect.Metrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Answers && c.Up(Endpoint+c.prefix) {
		all, held := c.keys.Count()
		RecordKeys(m, c.prefix, all, held)
		RecordSemaphores(m, c.keys.Semaphores())
	}
	RecordChanges(m, c.prefix, c.keys.Changes(), c.keys.Acquisitions())
}
