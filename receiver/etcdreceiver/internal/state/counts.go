// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "strings"

// KeyCounts are of the remembered keys under a prefix, and of what was done
// with any key there since the Machine was made.
type KeyCounts struct {
	Keys, Size    int64
	Puts, Deletes int64
}

// QueueCounts are of the queues of locks, or of elections, under a prefix: how
// many attempts there are, and how many came to hold or were given up since the
// Machine was made.
type QueueCounts struct {
	Waiting, Holding    int64
	Acquired, Abandoned int64
}

// Counts are by configured prefix. A key, a lock or an election counts under
// the longest one.
type Counts struct {
	Keys             map[string]KeyCounts
	Locks, Elections map[string]QueueCounts
	Leases           LeaseCounts
	KeysBeyond       int64 // keys that exist and are not remembered
}

// Counts returns what is counted.
func (m *Machine) Counts() Counts {
	c := Counts{
		Keys: map[string]KeyCounts{}, Locks: map[string]QueueCounts{}, Elections: map[string]QueueCounts{},
		Leases: m.leases.counts(), KeysBeyond: int64(m.Beyond()),
	}
	collect(c.Keys, m.counts.keys)
	collect(c.Locks, m.counts.locks)
	collect(c.Elections, m.counts.elections)
	return c
}

// At returns the counts with what is there taken from a later time.
func (c Counts) At(later Counts) Counts {
	for prefix, k := range c.Keys {
		is := later.Keys[prefix]
		c.Keys[prefix] = KeyCounts{Keys: is.Keys, Size: is.Size, Puts: k.Puts, Deletes: k.Deletes}
	}
	for _, of := range []struct{ queues, later map[string]QueueCounts }{{c.Locks, later.Locks}, {c.Elections, later.Elections}} {
		for prefix, q := range of.queues {
			is := of.later[prefix]
			of.queues[prefix] = QueueCounts{Waiting: is.Waiting, Holding: is.Holding, Acquired: q.Acquired, Abandoned: q.Abandoned}
		}
	}
	c.KeysBeyond = later.KeysBeyond
	return c
}

// BeyondLeases returns how many leases, or attachments to them, are not followed
// because there are too many.
func (m *Machine) BeyondLeases() int { return max(m.leases.beyond, m.leases.others) }

// Beyond returns how many keys are not remembered because there are too many.
func (m *Machine) Beyond() int {
	beyond := 0
	for _, p := range m.parts {
		beyond += p.beyond
	}
	return beyond
}

func collect[C any](into map[string]C, from map[string]*C) {
	for prefix, c := range from {
		into[prefix] = *c
	}
}

type counts struct {
	keys             map[string]*KeyCounts
	locks, elections map[string]*QueueCounts
}

// newCounts counts from zero on under each prefix, and also the locks and
// elections that are recognized under those of keys once there are any.
func newCounts(prefixes Prefixes) *counts {
	c := &counts{keys: map[string]*KeyCounts{}, locks: map[string]*QueueCounts{}, elections: map[string]*QueueCounts{}}
	for _, prefix := range prefixes.Watch {
		c.keys[prefix] = &KeyCounts{}
	}
	for _, prefix := range prefixes.Locks {
		c.locks[prefix] = &QueueCounts{}
	}
	for _, prefix := range prefixes.Elections {
		c.elections[prefix] = &QueueCounts{}
	}
	return c
}

// watched is a prefix whose keys are told, with its counts.
type watched struct {
	prefix string
	*KeyCounts
}

func (c *counts) watched(prefixes []string) []watched {
	of := make([]watched, len(prefixes))
	for i, prefix := range prefixes {
		of[i] = watched{prefix, c.keys[prefix]}
	}
	return of
}

// countsOf returns where a key counts; nil if it is not watched.
func (p *part) countsOf(key string) *KeyCounts {
	for _, w := range p.watch {
		if strings.HasPrefix(key, w.prefix) {
			return w.KeyCounts
		}
	}
	return nil
}

// add takes in that a key is remembered, and drop that it no longer is.
func (c *KeyCounts) add(key Key)  { c.resize(1, key) }
func (c *KeyCounts) drop(key Key) { c.resize(-1, key) }

func (c *KeyCounts) resize(keys int64, key Key) {
	if c != nil {
		c.Keys += keys
		c.Size += keys * int64(len(key.Name)+key.Size)
	}
}

func (c *counts) of(a *Attempt) *QueueCounts {
	queues := c.locks
	if a.Election {
		queues = c.elections
	}
	if queues[a.Prefix] == nil {
		queues[a.Prefix] = &QueueCounts{}
	}
	return queues[a.Prefix]
}

func (c *counts) queued(a *Attempt) { c.of(a).Waiting++ }

func (c *counts) held(a *Attempt) {
	c.of(a).Waiting--
	c.of(a).Holding++
}

func (c *counts) ended(a *Attempt) {
	if a.Holds() {
		c.of(a).Holding--
	} else {
		c.of(a).Waiting--
	}
}
