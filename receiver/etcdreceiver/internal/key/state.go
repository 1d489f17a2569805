// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package key follows the keys under a prefix: which there are, how many and
// how large, and what is done with them.
package key

import (
	"cmp"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// Key is what is known of one key. Its value is not.
type Key struct {
	Name     string
	Created  int64 // revision at which it was created
	Modified int64 // revision of its last change
	Version  int64 // number of changes since it was created; 0 when not known
	Lease    int64 // 0 for none
	Size     int   // length of the value
}

// Change is one change of one key. Of a deleted key only Name and Modified are
// known, unless etcd was asked for what it was before.
type Change struct {
	Key         Key
	Deleted     bool
	Before      *Key   // of a deleted key, if that is known; else nil
	Fingerprint string // of the value, if asked for
}

// Attempt is the attempt at a lock, or at the leadership of an election, that a
// key stands for. The events of the key belong to its trace.
type Attempt interface {
	// SpanKey returns what the IDs of its trace and span are functions of.
	SpanKey(cluster string) []string
}

// Effect is something that happened: one of the types below.
type Effect interface{ effect() }

// Put says that a key was created or changed. There can be very many of them, so they
// are passed by pointer.
type Put struct {
	Key         Key
	Fingerprint string
	Created     bool // it did not exist before
	Reconciled  bool // the true time is unknown
	Attempt     Attempt
}

// Deleted says that a key was deleted. The key is as it was, if that is known,
// modified at the revision of the deletion.
type Deleted struct {
	Key        Key
	Reconciled bool
	Attempt    Attempt
}

// Gap is a range of revisions whose changes are unknown.
type Gap struct {
	Prefix      string
	First, Last int64
	Reason      GapReason
}

func (*Put) effect()    {}
func (Deleted) effect() {}
func (Gap) effect()     {}

// GapReason is why changes are unknown.
type GapReason int

// Why changes can be unknown.
const (
	GapCompacted        GapReason = iota + 1 // before they were read
	GapRestored                              // the history is that of a restored backup
	GapOfAnotherCluster                      // and so is all of the history
)

// Space is all keys that are followed. It remembers a bounded number of them.
type Space struct {
	limit      int
	remembered int // under all prefixes
	counts     map[string]*Counts
	under      []*Keys
}

// NewSpace returns a Space that knows no keys. The keys under the watched
// prefixes are counted and reported.
func NewSpace(watched []string, limit int) *Space {
	s := &Space{limit: limit, counts: map[string]*Counts{}}
	for _, prefix := range watched {
		s.counts[prefix] = &Counts{}
	}
	return s
}

// Keys are those under one covering prefix.
type Keys struct {
	space     *Space
	watched   []watched // the longest prefix first
	known     map[string]Key
	overLimit int // keys that exist and are not remembered
}

// Under returns the Keys under one covering prefix, which holds these watched
// ones, the longest first.
func (s *Space) Under(prefixes []string) *Keys {
	k := &Keys{space: s, known: map[string]Key{}}
	for _, prefix := range prefixes {
		k.watched = append(k.watched, watched{prefix, s.counts[prefix]})
	}
	s.under = append(s.under, k)
	return k
}

// Get returns a key as it is known.
func (k *Keys) Get(name string) (key Key, known bool) {
	key, known = k.known[name]
	return key, known
}

// Put takes in a key that is there, and was old before if that is known. created
// and changed say whether that happened after the last known revision. It returns
// whether there is room to remember the key, and whether the change is reported.
func (k *Keys) Put(key, old Key, known, created, changed bool) (remembered, reported bool) {
	counts := k.countsOf(key.Name)
	remembered = k.remember(counts, key, old, known)
	switch {
	case remembered && !known && !created:
		k.overLimit = max(0, k.overLimit-1)
	case !remembered && created:
		k.overLimit++
	}
	reported = changed && counts != nil
	if reported {
		counts.Puts++
	}
	return remembered, reported
}

// Delete takes in that a key was deleted. It returns the key as it was known, the
// key as it was for all that can be found out, and whether the change is reported.
func (k *Keys) Delete(c Change) (old, was Key, reported bool) {
	name, counts := c.Key.Name, k.countsOf(c.Key.Name)
	if counts != nil {
		counts.Deletes++
	}
	old, known := k.known[name]
	was = c.Key
	if known {
		was = old
	} else if c.Before != nil {
		was = *c.Before
	}
	was.Modified = c.Key.Modified
	k.Forget(name)
	return old, was, counts != nil
}

// Restore takes in a key that an earlier process knew. It returns false when
// there is no room for it.
func (k *Keys) Restore(key Key) bool {
	return k.remember(k.countsOf(key.Name), key, Key{}, false)
}

// remember returns false when there are too many keys to remember this one.
func (k *Keys) remember(counts *Counts, key, old Key, known bool) bool {
	switch {
	case known:
		counts.drop(old)
	case k.space.remembered >= k.space.limit:
		return false
	default:
		k.space.remembered++
	}
	counts.add(key)
	k.known[key.Name] = key
	return true
}

// Forget takes in that a key is not followed any more, and returns it as it was
// known.
func (k *Keys) Forget(name string) Key {
	old, known := k.known[name]
	if !known {
		k.overLimit = max(0, k.overLimit-1)
		return Key{}
	}
	k.countsOf(name).drop(old)
	delete(k.known, name)
	k.space.remembered--
	return old
}

// Fit returns the keys of a list that there is room for, and how many there are
// beyond them. The list has left out more of them.
func (k *Keys) Fit(listed []Key, more int) (fit []Key, overLimit int) {
	others := k.space.remembered - len(k.known)
	n := min(len(listed), max(0, k.space.limit-others))
	return listed[:n], len(listed) - n + more
}

// SetOverLimit takes in how many keys exist and are not remembered.
func (k *Keys) SetOverLimit(n int) { k.overLimit = n }

// Compare returns how the keys of a list at a revision, in the order of their
// names, differ from those that are known: which are deleted, which are new or
// changed, in the order of their revisions, and which may be there still, as more
// keys follow the last one of the list.
func (k *Keys) Compare(listed []Key, revision int64, more bool) (deleted, changed []Change, unknown []string) {
	next := make(map[string]Key, len(listed))
	for _, key := range listed {
		next[key.Name] = key
	}
	for _, c := range diff.Maps(k.known, next, cmp.Compare[string]) {
		switch {
		case !c.Removed:
			changed = append(changed, Change{Key: c.Next})
		case more && (len(listed) == 0 || c.Key > listed[len(listed)-1].Name):
			unknown = append(unknown, c.Key)
		default:
			deleted = append(deleted, Change{Key: Key{Name: c.Key, Modified: revision}, Deleted: true})
		}
	}
	slices.SortStableFunc(changed, func(a, b Change) int { return cmp.Compare(a.Key.Modified, b.Key.Modified) })
	return deleted, changed, unknown
}
