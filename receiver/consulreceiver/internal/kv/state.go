// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// Hold is the time during which a session holds a key, or a slot of a semaphore.
type Hold struct {
	ID          HoldID
	Session     string
	Flags       uint64
	BeganBefore bool // it had begun when it was first observed
	Reconciled  bool // it began at an unknown time
	EndedLate   bool // it ended at an unknown time
	Start, End  time.Time
	How         End // empty while it lasts

	Client Client

	// LockIndex is that of the key. It differs from that of the ID once the key
	// was written without a session.
	LockIndex uint64
	// Previous is the hold before, if there was one. Followed says that another
	// may follow, as the key stays.
	Previous *HoldID
	Followed bool
	// Waited says that the wait for it was observed.
	Waited bool
}

// Wait is the time during which a contender has no slot of a semaphore.
type Wait struct {
	ID          HoldID // of the hold that it leads to
	Session     string
	Flags       uint64
	BeganBefore bool
	Reconciled  bool
	EndedLate   bool
	Start, End  time.Time
	How         End // empty while it lasts, and when it led to a slot
	Client      Client
}

// Acquired says that a hold began.
type Acquired struct {
	Hold
	Initial bool // when the key was first observed
}

// Ended says that a hold ended.
type Ended struct{ Hold }

// Queued says that a wait began.
type Queued struct {
	Wait
	Initial bool
}

// Waited says that a wait led to a slot.
type Waited struct{ Wait }

// Abandoned says that a wait ended without a slot.
type Abandoned struct{ Wait }

// Changed says that a key came, changed or went.
type Changed struct{ snapshot.Change[string, Key] }

// Effect is something that happened: one of the types above.
type Effect interface{ effect() }

func (Acquired) effect()  {}
func (Ended) effect()     {}
func (Queued) effect()    {}
func (Waited) effect()    {}
func (Abandoned) effect() {}
func (Changed) effect()   {}

// Keys follows the keys under one prefix, who holds them and who waits. Its
// memory is bounded by the size of a snapshot.
type Keys struct {
	// EmitInitial says that the first observation is reported, too.
	EmitInitial bool

	keys         snapshot.Tracker[string, Key]
	holds        map[string]*Hold
	waits        map[string]*Wait
	resets       map[string]Reset
	restores     uint64 // how often Consul went back to a snapshot
	acquisitions int64
	changes      KeyChanges
}

// Reset is what is known of a key whose LockIndex began anew.
type Reset struct {
	CreateIndex uint64 // of the key
	Count       uint64
	Last        *HoldID // the last hold before, if it was observed
}

// Needs returns what a step over these keys has to know beside them.
func (k *Keys) Needs(next map[string]Key) Needs {
	var needs Needs
	ask := func(session, name string) {
		key, there := next[name]
		if there && key.Session == session {
			return
		}
		needs.lost(session, key.ModifyIndex)
		if !there {
			needs.Deleted = append(needs.Deleted, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.holds)) {
		ask(k.holds[name].Session, name)
	}
	for _, name := range slices.Sorted(maps.Keys(k.waits)) {
		ask(k.waits[name].Session, name)
	}
	return needs
}

// lost adds a key that a session has no more: it was its own before the index.
func (n *Needs) lost(session string, index uint64) {
	lowest, known := n.Lost[session]
	if !known {
		n.Sessions = append(n.Sessions, session)
		lowest = index
	}
	if n.Lost == nil {
		n.Lost = map[string]uint64{}
	}
	n.Lost[session] = min(lowest, index)
}

// Step takes in the next observation, made at now, and returns its effects in
// the order of the keys: first what became of the hold or wait that was, then
// what became of the key, then the hold or wait that is.
func (k *Keys) Step(now time.Time, o snapshot.Observation[string, Key], evidence Evidence) (*snapshot.Gap, []Effect) {
	if k.holds == nil {
		k.holds, k.waits, k.resets = map[string]*Hold{}, map[string]*Wait{}, map[string]Reset{}
	}
	before := snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: k.keys.Index()}, Objects: k.keys.Known()}
	gap, changes := k.keys.Step(o, cmp.Compare[string])
	evidence = evidence.among(before, o, gap != nil || o.Gap)
	if o.Restored || gap != nil && gap.Old > gap.New && len(changes) > 0 { // The index also falls when Consul forgets deletions.
		k.restores++
	}
	s := step{Keys: k, now: now, before: before.Objects, after: o.Objects, evidence: evidence}
	var effects []Effect
	for _, c := range changes {
		if c.Rebased && c.Removed {
			k.forget(c.Key)
			continue
		}
		effects = append(effects, s.end(c)...)
		effects = append(effects, s.endWait(c)...)
		effects = append(effects, k.changed(c)...)
		s.reset(c)
		effects = append(effects, s.begin(c)...)
		if !c.Initial && !c.Rebased {
			k.acquisitions += acquired(c)
		}
	}
	return gap, effects
}

func (k *Keys) forget(name string) {
	delete(k.holds, name)
	delete(k.waits, name)
	delete(k.resets, name)
}

// step is one step: what was observed before and now.
type step struct {
	*Keys
	now           time.Time
	before, after map[string]Key
	evidence      Evidence
}

// acquired returns how often the key was acquired, observed or not. A key that
// was deleted and made again, or written without a session, counts from zero.
func acquired(c snapshot.Change[string, Key]) int64 {
	if c.Removed {
		return 0
	}
	if c.Next.Role != NoRole { // A contender's key is held while it waits.
		if c.Next.Role == Holder && (c.Added || c.Prev.Role != Holder || c.Prev.CreateIndex != c.Next.CreateIndex) {
			return 1
		}
		return 0
	}
	if c.Next.CreateIndex != c.Prev.CreateIndex || c.Next.LockIndex < c.Prev.LockIndex && c.Next.ModifyIndex > c.Prev.ModifyIndex {
		return int64(c.Next.LockIndex)
	}
	return max(0, int64(c.Next.LockIndex)-int64(c.Prev.LockIndex))
}

func (s *step) end(c snapshot.Change[string, Key]) []Effect {
	hold := s.holds[c.Key]
	if hold == nil {
		return nil
	}
	if hold.goesOn(c) {
		hold.LockIndex = c.Next.LockIndex
		return nil
	}
	hold.End, hold.How = s.now, s.ending(hold, c)
	hold.EndedLate = c.Reconciled
	hold.Client = cmp.Or(hold.Client, s.evidence.Clients[hold.Session])
	hold.Followed = !c.Removed && c.Next.CreateIndex == hold.ID.CreateIndex && c.Prev.Role == NoRole
	delete(s.holds, c.Key)
	if !c.Removed && c.Next.Role == Waiter {
		s.left(c)
	}
	return []Effect{Ended{*hold}}
}

// Next is the hold that follows when the key stays.
func (h Hold) Next() HoldID {
	next := h.ID.Next()
	if h.LockIndex < h.ID.LockIndex {
		next.LockIndex, next.Resets = h.LockIndex+1, next.Resets+1
	}
	return next
}

// goesOn says whether a hold lasts. A write without a session keeps the session
// and sets the LockIndex to 0.
func (h *Hold) goesOn(c snapshot.Change[string, Key]) bool {
	if c.Removed || c.Next.CreateIndex != h.ID.CreateIndex || c.Next.Session != h.Session || !c.Next.held() {
		return false
	}
	return c.Next.LockIndex == h.LockIndex || c.Next.LockIndex == 0 && c.Next.ModifyIndex > c.Prev.ModifyIndex
}

// givenUp says whether the key was given up and nothing else since, so that its
// ModifyIndex is the index at which it was.
func (h *Hold) givenUp(key Key) bool {
	return key.CreateIndex == h.ID.CreateIndex && key.Session == "" && key.LockIndex == h.LockIndex && h.LockIndex > 0
}

func (s *step) ending(hold *Hold, c snapshot.Change[string, Key]) End {
	again := c.Removed || c.Next.CreateIndex != hold.ID.CreateIndex
	switch holds := c.Next.Session == hold.Session; {
	case !again && holds && !c.Next.held():
		return s.leftSlot(c.Key)
	case !again && holds:
		return Released // It holds the key again, so it lives.
	case hold.givenUp(c.Next) && c.Prev.Role == Holder:
		return s.contenderLost(hold, c.Key, c.Next.ModifyIndex, s.evidence.givenUp)
	case hold.givenUp(c.Next):
		return s.evidence.givenUp(hold.Session, c.Next.ModifyIndex)
	case !again:
		return s.evidence.lastWritten(hold.Session, c.Next)
	case holds:
		return Deleted // It holds another key of the name, so it lives.
	case c.Prev.Role == Holder:
		return s.contenderLost(hold, c.Key, s.evidence.DeletedAt[c.Key], s.evidence.removed)
	default:
		return s.evidence.removed(hold.Session, s.evidence.DeletedAt[c.Key])
	}
}

// leftSlot returns how a hold of a slot ended whose contender is there still.
func (s *step) leftSlot(contender string) End {
	if _, _, same := s.coordinators(contender); same {
		return Released // Others remove only those whose contender is gone.
	}
	return Unknown
}

// contenderLost returns how a hold of a slot ended whose contender was lost at an index,
// or at an unknown one, which is 0: listed decides while the slot is not given up. A holder
// leaves its slot before it deletes its key. Others take the slot only after the key is lost.
func (s *step) contenderLost(hold *Hold, contender string, index uint64, listed func(string, uint64) End) End {
	_, coordinator, same := s.coordinators(contender)
	switch {
	case same && coordinator.Slots.has(hold.Session):
		return listed(hold.Session, index)
	case same && index > 0 && coordinator.ModifyIndex < index:
		return Released
	default:
		return Unknown
	}
}

// coordinators returns the coordinating key of a contender before and now, and
// whether both are known to be the same key.
func (s *step) coordinators(contender string) (was, is Key, same bool) {
	name := coordinatorOf(contender)
	was, is = s.before[name], s.after[name]
	return was, is, was.Role == Coordinator && is.Role == Coordinator && was.CreateIndex == is.CreateIndex
}

func (s *step) endWait(c snapshot.Change[string, Key]) []Effect {
	wait := s.waits[c.Key]
	if wait == nil {
		return nil
	}
	same := !c.Removed && c.Next.CreateIndex == wait.ID.CreateIndex && c.Next.Session == wait.Session
	if same && c.Next.Role == Waiter {
		return nil
	}
	delete(s.waits, c.Key)
	wait.End = s.now
	wait.EndedLate = c.Reconciled
	wait.Client = cmp.Or(wait.Client, s.evidence.Clients[wait.Session])
	if same && c.Next.Role == Holder {
		return []Effect{Waited{*wait}}
	}
	switch was, is, _ := s.coordinators(c.Key); {
	case was.ModifyIndex != is.ModifyIndex:
		wait.How = Unknown // It may have had a slot in between.
	case c.Removed:
		wait.How = s.evidence.removed(wait.Session, s.evidence.DeletedAt[c.Key])
	default:
		wait.How = s.evidence.lastWritten(wait.Session, c.Next)
	}
	return []Effect{Abandoned{*wait}}
}

// reset counts when the LockIndex of a key begins anew: it falls, or another
// session holds the key and it has not grown.
func (s *step) reset(c snapshot.Change[string, Key]) {
	if c.Removed {
		delete(s.resets, c.Key)
		return
	}
	known := s.resetsOf(c.Key, c.Next)
	if c.Prev.CreateIndex != c.Next.CreateIndex {
		c.Prev = Key{}
	}
	taken := c.Next.Session != "" && c.Next.Session != c.Prev.Session && c.Next.LockIndex <= c.Prev.LockIndex
	if c.Next.ModifyIndex < c.Prev.ModifyIndex || c.Next.LockIndex >= c.Prev.LockIndex && !taken {
		return
	}
	reset := Reset{CreateIndex: c.Next.CreateIndex, Count: known.Count + 1}
	if c.Prev.LockIndex > 0 {
		reset.Last = &HoldID{Key: c.Key, CreateIndex: c.Prev.CreateIndex, LockIndex: c.Prev.LockIndex, Resets: known.Count + s.restores}
	}
	s.resets[c.Key] = reset
}

// left marks a contender that has lost its slot while its key is there still. It
// is about to delete the key, so it does not wait. Another hold gets another ID.
func (s *step) left(c snapshot.Change[string, Key]) {
	reset := s.resetsOf(c.Key, c.Next)
	reset.Count++
	s.resets[c.Key] = reset
}

// resetsOf returns what is known of the resets of a key, not of one of its name before.
func (k *Keys) resetsOf(name string, key Key) Reset {
	if known := k.resets[name]; known.CreateIndex == key.CreateIndex {
		return known
	}
	return Reset{CreateIndex: key.CreateIndex}
}

func (s *step) begin(c snapshot.Change[string, Key]) []Effect {
	if c.Removed || c.Next.Session == "" || s.holds[c.Key] != nil || s.waits[c.Key] != nil {
		return nil
	}
	id := s.holdID(c.Key, c.Next)
	before := c.Initial || c.Rebased
	var effects []Effect
	wait := Wait{
		ID: id, Session: c.Next.Session, Client: s.evidence.Clients[c.Next.Session], Flags: c.Next.Flags,
		BeganBefore: before, Reconciled: c.Reconciled, Start: s.now,
	}
	switch {
	case c.Next.Role == Waiter && s.resetsOf(c.Key, c.Next).Count > 0: // It has left its slot.
	case c.Next.Role == Waiter:
		s.waits[c.Key] = &wait
		effects = []Effect{Queued{Wait: wait, Initial: c.Initial}}
	case c.Next.held():
		hold := &Hold{
			ID: id, Session: wait.Session, Client: wait.Client, Flags: wait.Flags, LockIndex: c.Next.LockIndex,
			BeganBefore: before, Reconciled: c.Reconciled, Start: s.now, Previous: s.previous(c.Next, id),
		}
		if c.Next.Role == Holder {
			waited := c.Prev.Role == Waiter && c.Prev.CreateIndex == c.Next.CreateIndex
			hold.Waited = waited || !before
			if !waited && !before { // It got its slot at once.
				over := wait
				over.End = s.now
				effects = []Effect{Queued{Wait: wait}, Waited{over}}
			}
		}
		s.holds[c.Key] = hold
		effects = append(effects, Acquired{Hold: *hold, Initial: c.Initial})
	}
	if c.Rebased || c.Initial && !s.EmitInitial {
		return nil
	}
	return effects
}

func (k *Keys) holdID(name string, key Key) HoldID {
	return HoldID{Key: name, CreateIndex: key.CreateIndex, LockIndex: key.LockIndex, Resets: k.resetsOf(name, key).Count + k.restores}
}

// previous returns the hold of the key before this one, if there was one.
func (k *Keys) previous(key Key, id HoldID) *HoldID {
	switch {
	case key.Role != NoRole:
		return nil // Who held this contender's key before is the same session.
	case id.LockIndex > 1:
		id.LockIndex--
		return &id
	default:
		return k.resetsOf(id.Key, key).Last
	}
}

// changed returns the events of the key itself. To acquire or release it has
// events of its own, and is a change of the key only if it was written, too.
func (k *Keys) changed(c snapshot.Change[string, Key]) []Effect {
	again := !c.Added && !c.Removed && c.Prev.CreateIndex != c.Next.CreateIndex
	// Of a key whose hold was restored, neither index nor value are known.
	restored := !c.Added && !c.Removed && !again && c.Prev.ModifyIndex == 0
	if c.Rebased || restored || c.Initial && !k.EmitInitial || !c.Added && !c.Removed && !again && !c.Prev.written(c.Next) {
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

// Clone returns a copy that goes on by itself.
func (k *Keys) Clone() *Keys {
	c := *k
	c.holds, c.waits, c.resets = make(map[string]*Hold, len(k.holds)), make(map[string]*Wait, len(k.waits)), maps.Clone(k.resets)
	for name, hold := range k.holds {
		held := *hold
		c.holds[name] = &held
	}
	for name, wait := range k.waits {
		waiting := *wait
		c.waits[name] = &waiting
	}
	return &c
}

// Begun says whether there was an observation.
func (k *Keys) Begun() bool { return k.keys.Begun() }

// Count returns how many keys there are, and how many of them are held.
func (k *Keys) Count() (keys, held int) { return len(k.keys.Known()), len(k.holds) }

// Semaphores returns the state of each semaphore, in order.
func (k *Keys) Semaphores() []Semaphore { return semaphores(k.keys.Known()) }

// Changes returns how often keys were observed to change so far.
func (k *Keys) Changes() KeyChanges { return k.changes }

// Acquisitions returns how often keys were acquired so far, observed or not.
func (k *Keys) Acquisitions() int64 { return k.acquisitions }

// SavedHolds is what outlives the process: the holds and waits that last.
type SavedHolds struct {
	Index    uint64
	Holds    []Hold
	Waits    []Wait           `json:",omitempty"`
	Resets   map[string]Reset `json:",omitempty"`
	Restores uint64           `json:",omitempty"`
}

// Save returns the holds and waits that last, in order.
func (k *Keys) Save() SavedHolds {
	saved := SavedHolds{Index: k.keys.Index(), Restores: k.restores}
	for _, name := range slices.Sorted(maps.Keys(k.holds)) {
		saved.Holds = append(saved.Holds, *k.holds[name])
	}
	for _, name := range slices.Sorted(maps.Keys(k.waits)) {
		saved.Waits = append(saved.Waits, *k.waits[name])
	}
	if len(k.resets) > 0 {
		saved.Resets = maps.Clone(k.resets)
	}
	return saved
}

// Restore goes on from what an earlier process saved, before the first Step.
func (k *Keys) Restore(saved SavedHolds) {
	known := map[string]Key{}
	k.holds, k.waits, k.resets = map[string]*Hold{}, map[string]*Wait{}, map[string]Reset{}
	maps.Copy(k.resets, saved.Resets)
	k.restores = saved.Restores
	for _, hold := range saved.Holds {
		if _, reset := saved.Resets[hold.ID.Key]; !reset && hold.LockIndex == 0 {
			hold.LockIndex = hold.ID.LockIndex // An earlier version did not save it.
		}
		k.holds[hold.ID.Key] = &hold
		key := Key{Flags: hold.Flags, Session: hold.Session, LockIndex: hold.LockIndex, CreateIndex: hold.ID.CreateIndex}
		if contends(hold.ID.Key, key) {
			key.Role = Holder
		}
		known[hold.ID.Key] = key
	}
	for _, wait := range saved.Waits {
		k.waits[wait.ID.Key] = &wait
		known[wait.ID.Key] = Key{
			Flags: wait.Flags, Session: wait.Session, LockIndex: wait.ID.LockIndex, CreateIndex: wait.ID.CreateIndex, Role: Waiter,
		}
	}
	k.keys.Restore(known, saved.Index)
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
