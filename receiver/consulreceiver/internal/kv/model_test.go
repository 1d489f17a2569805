// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

// model is a Consul with keys and sessions: what its state store does to them,
// and what the semaphore of the Consul API does with them.
type model struct {
	names    [2]string // of the keys that are no semaphore
	index    uint64
	sessions uint64            // index of the last change of sessions
	created  map[string]uint64 // of the sessions that live
	deletes  map[string]bool   // whether the end of a session deletes its keys
	keys     keys
	stones   map[string]uint64 // index at which a key was last deleted
	holding  map[string]string // the session that has the key as a lock, or a slot by it

	lives map[string]int // how many sessions had this name: Consul never gives an ID twice

	acquired int64
	ended    map[string][]ended // by key, since the last observation
	took     int                // how many keys were deleted with their session since then
}

// ended is a hold that ended.
type ended struct {
	session string
	how     End
	again   bool // its session contended again since
}

func newModel(names [2]string) *model {
	return &model{
		names: names,
		index: 10, sessions: 1, created: map[string]uint64{}, deletes: map[string]bool{}, keys: keys{},
		stones: map[string]uint64{}, holding: map[string]string{}, ended: map[string][]ended{}, lives: map[string]int{},
	}
}

func (m *model) end(name string, how End) {
	if session := m.holding[name]; session != "" {
		m.ended[name] = append(m.ended[name], ended{session: session, how: how})
		delete(m.holding, name)
	}
}

func (m *model) begin(name, session string) {
	m.holding[name] = session
	m.acquired++
}

func (m *model) live(session string, deletes bool) {
	if m.created[session] == 0 {
		m.index++
		m.sessions, m.created[session], m.deletes[session] = m.index, m.index, deletes
	}
}

// put writes a key without a session, which resets its LockIndex.
func (m *model) put(name string, change func(*Key)) {
	m.index++
	key, there := m.keys[name]
	if !there {
		key.CreateIndex = m.index
	}
	key.LockIndex, key.ModifyIndex = 0, m.index
	change(&key)
	m.keys[name] = key
}

func (m *model) acquire(name, session string, flags uint64) {
	m.live(session, flags == semaphoreFlags)
	key, there := m.keys[name]
	if key.Session != "" {
		return
	}
	m.index++
	if !there {
		key.CreateIndex = m.index
	}
	key.Session, key.Flags, key.ModifyIndex = session, flags, m.index
	key.LockIndex++
	m.keys[name] = key
	if flags != semaphoreFlags {
		m.begin(name, session)
	} else {
		for i := range m.ended[name] {
			m.ended[name][i].again = true
		}
		m.sync(Deleted) // It may be listed from before.
	}
}

func (m *model) release(name string) {
	key := m.keys[name]
	if key.Session == "" {
		return
	}
	m.index++
	m.end(name, Released)
	key.Session, key.ModifyIndex = "", m.index
	m.keys[name] = key
}

func (m *model) remove(name string) {
	if _, there := m.keys[name]; !there {
		return
	}
	m.index++
	m.end(name, Deleted)
	delete(m.keys, name)
	m.stones[name] = m.index
}

// removeAll deletes the keys that are no semaphore. Consul remembers such a deletion by
// its prefix, not by the names of the keys.
func (m *model) removeAll() {
	m.index++
	for _, name := range m.names {
		if _, there := m.keys[name]; there {
			m.end(name, Deleted)
			delete(m.keys, name)
			m.stones[""] = m.index
		}
	}
}

func (m *model) destroy(session string) {
	if m.created[session] == 0 {
		return
	}
	m.index++
	m.sessions = m.index
	delete(m.created, session)
	for name, key := range m.keys {
		if key.Session != session {
			continue
		}
		m.end(name, Invalidated)
		if m.deletes[session] {
			delete(m.keys, name)
			m.stones[name] = m.index
			m.took++
			continue
		}
		key.Session, key.ModifyIndex = "", m.index
		m.keys[name] = key
	}
}

const semaphore = "sem"

func contenderOf(session string) string { return path.Join(semaphore, session) }

// slots returns the holders in the coordinating key that are not dead, in order.
func (m *model) slots() []string {
	holders := strings.Fields(m.keys[path.Join(semaphore, coordinatorName)].Slots.Holders)
	return slices.DeleteFunc(holders, func(s string) bool { return m.keys[contenderOf(s)].Session != s })
}

func (m *model) setSlots(holders []string) {
	slices.Sort(holders)
	m.put(path.Join(semaphore, coordinatorName), func(key *Key) {
		key.Flags, key.Slots = semaphoreFlags, Slots{Limit: 2}
		for _, s := range holders {
			key.Slots.Holders += s + " "
		}
	})
}

// enter takes a slot if there is one.
func (m *model) enter(session string) {
	holders := m.slots()
	if m.keys[contenderOf(session)].Session == session && len(holders) < 2 && !slices.Contains(holders, session) {
		m.setSlots(append(holders, session))
		m.sync(Deleted)
	}
}

// sync begins and ends the holds of slots, as the coordinating key now says.
func (m *model) sync(how End) {
	slots := m.slots()
	for name, key := range m.keys {
		if key.Flags != semaphoreFlags || key.Session == "" {
			continue
		}
		holds := slices.Contains(slots, key.Session)
		if holds && m.holding[name] == "" {
			m.begin(name, key.Session)
		} else if !holds {
			m.end(name, how)
		}
	}
}

// leave gives the slot up, without removing others that are dead.
func (m *model) leave(session string) {
	holders := strings.Fields(m.keys[path.Join(semaphore, coordinatorName)].Slots.Holders)
	if i := slices.Index(holders, session); i >= 0 {
		m.setSlots(slices.Delete(holders, i, i+1))
		m.sync(Released)
	}
}

// act does something, if it is possible.
func (m *model) act(what, which byte) {
	session := []string{"q", "r", "s"}[which%3]
	session += strconv.Itoa(m.lives[session])
	name := m.names[which/3%2]
	switch what {
	case 0:
		m.acquire(name, session, 0)
	case 1:
		m.release(name)
	case 2:
		m.remove(name)
	case 3:
		m.put(name, func(*Key) {})
	case 4:
		m.destroy(session)
		m.lives[session[:1]]++
	case 5:
		m.live(fmt.Sprintf("other%d", m.index), which%2 == 0)
	case 6:
		m.acquire(contenderOf(session), session, semaphoreFlags)
	case 7:
		m.enter(session)
	case 8:
		m.leave(session)
	case 9:
		if len(m.slots()) == 0 {
			m.remove(path.Join(semaphore, coordinatorName))
			m.sync(Deleted)
		}
	case 10:
		m.remove(contenderOf(session))
	case 11:
		m.removeAll()
	case 12:
		m.live("x"+string(rune('a'+which)), false) // A session that may end before it is listed.
	case 13, 14:
		for _, id := range slices.Sorted(maps.Keys(m.created)) {
			if id[0] == 'x' {
				m.destroy(id)
				break
			}
		}
	}
}

// snapshot returns the keys as the receiver reads them.
func (m *model) snapshot() map[string]Key {
	keys := maps.Clone(m.keys)
	assignRoles("", keys)
	return keys
}

// answer is what Consul answers now, but for the list of sessions.
func (m *model) answer(needs Needs) Evidence {
	e := Evidence{Sessions: map[string]SessionState{}, Created: map[uint64]bool{}, DeletedAt: map[string]uint64{}}
	for _, session := range needs.Sessions {
		e.Sessions[session] = SessionState{Alive: m.created[session] > 0, Index: m.sessions}
	}
	for _, name := range needs.Deleted {
		e.DeletedAt[name] = m.deletedAt(name)
	}
	return e
}

// list adds a list of the sessions.
func (m *model) list(lists *sessionlist.Lists) { lists.Add(m.sessions, maps.Clone(m.created)) }

// deletedAt returns the index of the keys that begin with a name, as Consul does: that of
// the newest deletion of one of them or, if there was none, of the last change of any key.
func (m *model) deletedAt(name string) (newest uint64) {
	var last uint64
	for _, key := range m.keys {
		last = max(last, key.ModifyIndex)
	}
	for other, index := range m.stones {
		last = max(last, index)
		if strings.HasPrefix(other, name) {
			newest = max(newest, index)
		}
	}
	return cmp.Or(newest, last)
}
