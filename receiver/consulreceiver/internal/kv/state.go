// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// Key is what is known of one key of the KV store.
type Key struct {
	Flags       uint64
	Session     string // that holds it; empty: none
	LockIndex   uint64 // how often it was acquired
	CreateIndex uint64
	ModifyIndex uint64
	Value       Fingerprint
}

// Fingerprint tells one value from another without telling it; zero unless
// asked for.
type Fingerprint struct {
	SHA256 string // hex
	Size   int
}

// HoldID identifies one hold of a key. Session is not a part of what makes it
// unique, so that the next hold is known beforehand.
type HoldID struct {
	Key         string
	CreateIndex uint64
	LockIndex   uint64
}

// Next is the hold that follows, if the key stays.
func (id HoldID) Next() HoldID {
	id.LockIndex++
	return id
}

// End is how a hold ended.
type End string

// The ends of a hold.
const (
	Released    End = "released"    // by its holder
	Invalidated End = "invalidated" // with its session
	Deleted     End = "deleted"     // with its key
	Unknown     End = "unknown"     // the token may not read sessions
)

// Hold is the time during which a session holds a key.
type Hold struct {
	ID          HoldID
	Session     string
	Flags       uint64
	BeganBefore bool // it had begun when it was first observed
	Reconciled  bool // it began or ended at an unknown time
	Start, End  time.Time
	How         End // empty while it lasts
}

// Acquired says that a hold began.
type Acquired struct {
	Hold
	Initial bool // when the key was first observed
}

// Ended says that a hold ended.
type Ended struct{ Hold }

// Changed says that a key came, changed or went.
type Changed struct{ snapshot.Change[string, Key] }

// Effect is something that happened: Acquired, Ended or Changed.
type Effect interface{ effect() }

func (Acquired) effect() {}
func (Ended) effect()    {}
func (Changed) effect()  {}

// Sessions is what is known of sessions after keys were read: which ones live,
// and the index at which one of them last came or went.
type Sessions struct {
	Known bool
	Alive map[string]bool
	Index uint64
}

// Keys follows the keys under one prefix, and who holds them. Its memory is
// bounded by the size of a snapshot.
type Keys struct {
	// EmitInitial reports the keys of the first observation, too.
	EmitInitial bool

	keys         snapshot.Tracker[string, Key]
	holds        map[string]*Hold
	acquisitions int64
	changes      KeyChanges
}

// KeyChanges counts changes of keys.
type KeyChanges struct{ Created, Updated, Deleted int64 }

func (c *KeyChanges) add(change Changed) {
	switch {
	case change.Initial:
	case change.Added:
		c.Created++
	case change.Removed:
		c.Deleted++
	default:
		c.Updated++
	}
}

// Ending says whether a step over these keys ends a hold, and so needs to know
// the sessions.
func (k *Keys) Ending(next map[string]Key) bool {
	for name, hold := range k.holds {
		if key, still := next[name]; still && (key.Session != hold.Session || key.LockIndex != hold.ID.LockIndex) {
			return true
		}
	}
	return false
}

// Step takes in the next observation, made at now, and returns its effects in
// the order of the keys: first what became of the hold that was, then what
// became of the key, then the hold that is.
func (k *Keys) Step(now time.Time, o snapshot.Observation[string, Key], sessions Sessions) (*snapshot.Gap, []Effect) {
	if k.holds == nil {
		k.holds = map[string]*Hold{}
	}
	gap, changes := k.keys.Step(o, cmp.Compare[string])
	var effects []Effect
	for _, c := range changes {
		if c.Rebased && c.Removed {
			delete(k.holds, c.Key)
			continue
		}
		if !c.Initial && !c.Rebased {
			k.acquisitions += acquired(c)
		}
		effects = append(effects, k.end(now, c, sessions)...)
		effects = append(effects, k.changed(c)...)
		effects = append(effects, k.begin(now, c)...)
	}
	return gap, effects
}

// acquired returns how often the key was acquired, seen or not. A key that was
// deleted and made again counts from zero.
func acquired(c snapshot.Change[string, Key]) int64 {
	before := c.Prev.LockIndex
	if c.Removed || c.Next.CreateIndex != c.Prev.CreateIndex {
		before = 0
	}
	return max(0, int64(c.Next.LockIndex)-int64(before))
}

func (k *Keys) end(now time.Time, c snapshot.Change[string, Key], sessions Sessions) []Effect {
	hold := k.holds[c.Key]
	if hold == nil || !c.Removed && holdID(c.Key, c.Next) == hold.ID && c.Next.Session == hold.Session {
		return nil
	}
	hold.End, hold.How = now, ending(hold, c, sessions)
	hold.Reconciled = hold.Reconciled || c.Reconciled
	delete(k.holds, c.Key)
	return []Effect{Ended{*hold}}
}

// ending tells how a hold ended. A session that ends gives its keys up at the
// very index of its own end. One that ended later, or lives, released them.
func ending(hold *Hold, c snapshot.Change[string, Key], sessions Sessions) End {
	switch {
	case c.Removed, c.Next.CreateIndex != hold.ID.CreateIndex:
		return Deleted
	case !sessions.Known:
		return Unknown
	case !sessions.Alive[hold.Session] && c.Next.LockIndex == hold.ID.LockIndex && c.Next.ModifyIndex == sessions.Index:
		return Invalidated
	default:
		return Released
	}
}

func (k *Keys) begin(now time.Time, c snapshot.Change[string, Key]) []Effect {
	if c.Removed || c.Next.Session == "" || k.holds[c.Key] != nil {
		return nil
	}
	before := c.Initial || c.Rebased
	hold := &Hold{
		ID: holdID(c.Key, c.Next), Session: c.Next.Session, Flags: c.Next.Flags,
		BeganBefore: before, Reconciled: c.Reconciled, Start: now,
	}
	k.holds[c.Key] = hold
	if c.Rebased || c.Initial && !k.EmitInitial {
		return nil
	}
	return []Effect{Acquired{Hold: *hold, Initial: c.Initial}}
}

// changed tells of the key itself. To acquire or release it is told as such,
// and as a change of the key only if another value is known to be in it.
func (k *Keys) changed(c snapshot.Change[string, Key]) []Effect {
	again := !c.Added && !c.Removed && c.Prev.CreateIndex != c.Next.CreateIndex
	locked := !c.Added && !c.Removed && !again &&
		(c.Prev.Session != c.Next.Session || c.Prev.LockIndex != c.Next.LockIndex)
	// Of a key whose hold was restored, neither index nor value are known.
	restored := !c.Added && !c.Removed && !again && c.Prev.ModifyIndex == 0
	if c.Rebased || restored || c.Initial && !k.EmitInitial || locked && c.Prev.Value == c.Next.Value {
		return nil
	}
	change := Changed{c}
	if !again {
		k.changes.add(change)
		return []Effect{change}
	}
	deleted, created := change, change
	deleted.Removed, deleted.Next = true, Key{}
	created.Added, created.Prev = true, Key{}
	k.changes.add(deleted)
	k.changes.add(created)
	return []Effect{deleted, created}
}

func holdID(name string, key Key) HoldID {
	return HoldID{Key: name, CreateIndex: key.CreateIndex, LockIndex: key.LockIndex}
}

// Clone returns a copy that goes on by itself.
func (k *Keys) Clone() *Keys {
	c := *k
	c.holds = make(map[string]*Hold, len(k.holds))
	for name, hold := range k.holds {
		held := *hold
		c.holds[name] = &held
	}
	return &c
}

// Count returns how many keys there are, and how many of them are held.
func (k *Keys) Count() (keys, held int) { return len(k.keys.Known()), len(k.holds) }

// Changes returns how often keys were seen to change so far.
func (k *Keys) Changes() KeyChanges { return k.changes }

// Acquisitions returns how often keys were acquired so far, seen or not.
func (k *Keys) Acquisitions() int64 { return k.acquisitions }

// Holding is what outlives the process: the holds that last.
type Holding struct {
	Index uint64
	Holds []Hold
}

// Save returns the holds that last, in order.
func (k *Keys) Save() Holding {
	saved := Holding{Index: k.keys.Index()}
	for _, hold := range k.holds {
		saved.Holds = append(saved.Holds, *hold)
	}
	slices.SortFunc(saved.Holds, func(a, b Hold) int { return cmp.Compare(a.ID.Key, b.ID.Key) })
	return saved
}

// Restore goes on from what an earlier process saved, before the first Step.
func (k *Keys) Restore(saved Holding) {
	known := map[string]Key{}
	k.holds = map[string]*Hold{}
	for _, hold := range saved.Holds {
		k.holds[hold.ID.Key] = &hold
		known[hold.ID.Key] = Key{
			Flags: hold.Flags, Session: hold.Session,
			LockIndex: hold.ID.LockIndex, CreateIndex: hold.ID.CreateIndex,
		}
	}
	k.keys.Restore(known, saved.Index)
}
