// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"maps"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

// End is how a hold, or a wait, ended.
type End string

// The ends of a hold. A wait has the same, but for Released.
const (
	Released    End = "released"    // by its holder
	Invalidated End = "invalidated" // with its session
	Deleted     End = "deleted"     // with its key, while its session lived
	Unknown     End = "unknown"     // Consul's indexes do not prove any of these
)

// maxExplained bounds how many indexes Evidence explains one by one.
const maxExplained = 1000

// Evidence is what Consul answered, after the keys were read, about holds that
// ended. An end is concluded from indexes alone, never from times:
//
// The end of a session is one entry of the raft log, at whose index its keys
// are given up. So a session that held a key ended at the index at which the
// key was given up, or later: then the holder had given it up by itself.
type Evidence struct {
	// Sessions are those whose state is known, by ID.
	Sessions map[string]SessionState
	// Created are indexes at which sessions were created. Those of sessions that have
	// ended since may be missing.
	Created map[uint64]bool
	// written are indexes at which keys changed, so that no session was created there.
	written map[uint64]bool
	// until is the index of the keys: what is gone from them was deleted there or before.
	until uint64
	// Clients are those of sessions whose name and node are known, by ID, whether
	// the sessions live or not.
	Clients map[string]Client
	// DeletedAt is the index at which a key, or one whose name begins with its name,
	// was deleted last, where Consul knows it.
	DeletedAt map[string]uint64
	// Newest is the index at which a key under the prefix was modified last, of those
	// that are there, observed or not.
	Newest uint64
}

// Client is who made a session. It is empty while that is not known.
type Client struct {
	Name string // of the session
	Node string
}

// SessionState is the state of a session after the keys were read.
type SessionState struct {
	Alive bool
	// Index is that of the last change of any session when the state was read. The
	// session ended at this index or before, if it is not alive.
	Index uint64
	// Lived is the index of a list of sessions, of before, that has the session; 0:
	// none is known. Alone means that Index is that of a list that has all the others.
	Lived uint64
	Alone bool
}

// endedWithin returns the state of a session that is gone, with what lists show of its
// end. What the second list is without may have been there when the state was read, if
// that was earlier.
func (s SessionState) endedWithin(end sessionlist.End) SessionState {
	s.Lived, s.Alone = end.Lived, end.Alone && end.Gone <= s.Index
	s.Index = min(s.Index, end.Gone)
	return s
}

// Needs is what to ask Consul about before a step.
type Needs struct {
	Sessions []string // IDs of the holders
	Deleted  []string // keys
	// Lost is the lowest index, by session, at which a key that it held is known not to be
	// its own any more; 0: the index is not known.
	Lost map[string]uint64
}

// within returns the evidence with only those deletions that are proven to be of
// their key: Consul answers with the newest deletion of any key that begins with the
// name or, when it remembers none, with an index of other keys. So a deletion counts
// that happened between two observations, where no other key begins with the name, and
// at whose index no key was modified, and none deleted that another session held: the
// end of one session deletes only its own.
func (e Evidence) within(after, until uint64, before, now map[string]Key) Evidence {
	proven := map[string]uint64{}
	for name, index := range e.DeletedAt {
		if index > after && index <= until && index != e.Newest && !e.shared(name, before) && !extended(name, before) && !extended(name, now) {
			proven[name] = index
		}
	}
	e.DeletedAt = proven
	return e
}

// shared says whether a key of another session was deleted at the same index.
func (e Evidence) shared(name string, before map[string]Key) bool {
	for other, index := range e.DeletedAt {
		if index == e.DeletedAt[name] && before[other].Session != before[name].Session {
			return true
		}
	}
	return false
}

// extended says whether the name of another key begins with a name.
func extended(name string, keys map[string]Key) bool {
	for other := range keys {
		if len(other) > len(name) && strings.HasPrefix(other, name) {
			return true
		}
	}
	return false
}

// among returns the evidence about two observations of keys. What lists of sessions and
// deletions show does not count beyond a gap between them.
func (e Evidence) among(was, is snapshot.Observation[string, Key], gap bool) Evidence {
	if gap {
		e.DeletedAt = nil
	}
	e.until, e.written = is.Index, map[uint64]bool{e.Newest: true}
	for _, index := range e.DeletedAt {
		e.written[index] = true
	}
	e = e.within(was.Index, is.Index, was.Objects, is.Objects)
	if len(e.Sessions) == 0 {
		return e
	}
	e.Sessions = maps.Clone(e.Sessions)
	for id, state := range e.Sessions {
		if gap {
			state.Lived = 0
		}
		e.Sessions[id] = state
	}
	for _, key := range was.Objects {
		e.written[key.ModifyIndex] = true
	}
	for _, key := range is.Objects {
		e.written[key.ModifyIndex] = true
		if state, known := e.Sessions[key.Session]; known {
			state.Alive = true // It holds this key still.
			e.Sessions[key.Session] = state
		}
	}
	return e
}

// givenUp returns how a hold ended whose key was given up at an index, and is
// still there.
func (e Evidence) givenUp(session string, index uint64) End {
	state, known := e.Sessions[session]
	switch {
	case !known:
		return Unknown
	case e.outlived(state, index):
		return Released
	case e.endedAt(state, index):
		return Invalidated
	default:
		return Unknown
	}
}

// outlived says whether a session was alive at an index, or after it.
func (e Evidence) outlived(state SessionState, index uint64) bool {
	if state.Alive || state.Lived >= index {
		return true
	}
	return state.Index > index && e.endedLast(state)
}

// endedLast says whether the end of a session is the last change of any session that
// its state knows. That is no creation, or its session would be alive. Nor is it the
// end of another session: those known before are alive, and to create one that nobody
// observed takes an index between, where something else is known to have happened.
func (e Evidence) endedLast(gone SessionState) bool {
	return gone.Alone && !e.Created[gone.Index] && e.explained(gone.Lived, gone.Index)
}

// explained says whether no session can have been created unobserved between two indexes.
func (e Evidence) explained(after, before uint64) bool {
	if after == 0 || before <= after || before-after > maxExplained {
		return false
	}
	for index := after + 1; index < before; index++ {
		if !e.Created[index] && !e.written[index] {
			return false
		}
	}
	return true
}

// endedAt says whether a session that is gone, and that lived until the index,
// ended at it: all later changes of sessions are creations.
func (e Evidence) endedAt(gone SessionState, index uint64) bool {
	if gone.Index < index || gone.Index-index > maxExplained {
		return false
	}
	for later := index + 1; later <= gone.Index; later++ {
		if !e.Created[later] {
			return false
		}
	}
	return true
}

// lastWritten returns how a hold ended when the index at which its key was given
// up is not known: the key was written or acquired since, maybe more than once.
func (e Evidence) lastWritten(session string, key Key) End {
	state, known := e.Sessions[session]
	switch {
	case known && e.outlived(state, key.ModifyIndex):
		return Released
	case known && key.Session == "" && key.LockIndex == 0 && state.Index == key.ModifyIndex:
		return Invalidated // One entry of the log changed both.
	default:
		return Unknown
	}
}

// removed returns how a hold, or a wait, ended whose key was deleted at an index, or at
// an unknown one, which is 0.
func (e Evidence) removed(session string, index uint64) End {
	state, known := e.Sessions[session]
	switch {
	case known && e.outlived(state, e.until):
		return Deleted
	case known && index > 0 && state.Index == index:
		return Invalidated // One entry of the log changed both.
	default:
		return Unknown
	}
}
