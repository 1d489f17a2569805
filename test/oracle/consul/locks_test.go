// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

func lockObject(key string) string { return "lock/" + key }

// holdState is the state of a lock that is held.
func holdState(session string, lockIndex uint64) string {
	return fmt.Sprintf("%s#%d", session, lockIndex)
}

// waits is the state of a contender for a semaphore that has no slot.
const waits = "waits"

// passes returns what a lock, or its key, passes between two states: a hold ends before
// the next begins, and a key of which only the creation counts is deleted before it is
// created again. Who contends for a semaphore waits first.
func passes(object, before, after string) (string, bool) {
	switch {
	case strings.HasPrefix(object, lockObject(prefixSemaphores)) && before == waits && after == oracle.Absent:
		return holdState(path.Base(object), 1), true // It may have had a slot.
	case strings.HasPrefix(object, lockObject(prefixSemaphores)):
		return waits, before == oracle.Absent && after != waits
	case strings.HasPrefix(object, lockObject("")), strings.HasPrefix(object, keyObject("")):
		return oracle.Absent, before != oracle.Absent && after != oracle.Absent
	}
	return "", false
}

// created is the state of a key of which only its creation counts.
func created(index uint64) string { return fmt.Sprintf("c%d", index) }

// ends are the ends that each hold may be reported with, by its key and state.
type ends struct {
	mu      sync.Mutex
	allowed map[[2]string][]string
}

func (e *ends) allow(key, hold string, ways ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.allowed == nil {
		e.allowed = map[[2]string][]string{}
	}
	e.allowed[[2]string{key, hold}] = append(e.allowed[[2]string{key, hold}], ways...)
}

func (e *ends) of(key, hold string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.allowed[[2]string{key, hold}]
}

// locksUnder reads the keys under a prefix, and who holds them or waits for them.
func (s *system) locksUnder(ctx context.Context, prefix string, states map[string]string) error {
	pairs, _, err := s.client.KV().List(prefix, sure(ctx))
	holders := holdersOf(pairs)
	for _, pair := range pairs {
		states[keyObject(pair.Key)] = created(pair.CreateIndex)
		switch {
		case pair.Session == "":
		case pair.Flags == api.SemaphoreFlagValue && !holders[pair.Session]:
			states[lockObject(pair.Key)] = waits
		default:
			states[lockObject(pair.Key)] = holdState(pair.Session, pair.LockIndex)
		}
	}
	return err
}

// holdersOf returns the sessions that have slots of semaphores. Each contender's session
// contends for one alone.
func holdersOf(pairs api.KVPairs) map[string]bool {
	holders := map[string]bool{}
	for _, pair := range pairs {
		var list struct{ Holders map[string]bool }
		if pair.Flags == api.SemaphoreFlagValue && strings.HasSuffix(pair.Key, "/.lock") && json.Unmarshal(pair.Value, &list) == nil {
			maps.Copy(holders, list.Holders)
		}
	}
	return holders
}

// locker acquires one key with sessions of its own, and loses it in every way.
type locker struct {
	*system
	name, key string
	domain    *oracle.Domain
	session   string
	planned   string // how the next hold ends
	expiring  bool   // it is waited for the end of the session
}

const (
	byRelease     = "lock released"
	byDestruction = "session with lock destroyed"
	byExpiry      = "session with lock expired"
	byDeletion    = "lock deleted"
	byHandover    = "lock released and acquired by another session"
)

func (s *system) locker(number int) oracle.Actor {
	l := &locker{system: s, name: fmt.Sprintf("locker-%d", number)}
	l.key = prefixLocks + l.name + "/Schlüssel"
	l.domain = s.domain(func(ctx context.Context) (map[string]string, error) {
		states := map[string]string{}
		if err := s.sessionsOf(ctx, l.name, states); err != nil {
			return nil, err
		}
		return states, s.locksUnder(ctx, prefixLocks+l.name, states)
	})
	l.domain.Passes = passes
	return oracle.Actor{Name: l.name, Pause: 500 * time.Millisecond, Act: l.act, End: l.end}
}

func (l *locker) act(ctx context.Context, random *rand.Rand) string {
	if l.expiring {
		l.domain.Poll(ctx)
		if l.domain.State(sessionObject(l.name+":holder", l.session)) != oracle.Absent {
			return ""
		}
		l.session, l.expiring = "", false
		return byExpiry
	}
	next := []string{byRelease, byDestruction, byExpiry, byDeletion, byHandover}[random.IntN(5)]
	deletes := random.IntN(2) == 0
	if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return l.domain.AllRested() }) {
		return ""
	}
	if l.session == "" {
		l.planned = next
	}
	l.domain.Poll(ctx) // A session that a snapshot brought back expires by itself.
	from := time.Now()
	what, err := l.step(ctx, deletes)
	l.domain.Record(ctx, from)
	if err != nil {
		return "failed request"
	}
	return what
}

func (l *locker) step(ctx context.Context, deletes bool) (what string, err error) {
	held := l.domain.State(lockObject(l.key))
	if holder, _, _ := strings.Cut(held, "#"); holder != "" {
		l.session = holder // A snapshot may have brought an earlier one back.
	}
	switch {
	case l.session == "":
		l.session, err = l.newSession(ctx, l.planned == byExpiry, deletes)
		return "session created", err
	case held == "":
		_, _, err = l.client.KV().Acquire(&api.KVPair{Key: l.key, Session: l.session}, write(ctx))
		return "lock acquired", err
	}
	session := l.session
	switch l.planned {
	case byDestruction:
		l.ends.allow(l.key, held, endInvalidated)
		l.session = ""
		_, err = l.client.Session().Destroy(session, write(ctx))
	case byExpiry:
		l.ends.allow(l.key, held, endInvalidated)
		l.expiring = true
		return "", nil
	case byDeletion:
		l.ends.allow(l.key, held, endDeleted)
		_, err = l.client.KV().Delete(l.key, write(ctx))
		l.planned = byRelease
	case byHandover:
		l.ends.allow(l.key, held, endReleased)
		if _, _, err = l.client.KV().Release(&api.KVPair{Key: l.key, Session: session}, write(ctx)); err != nil {
			return "", err
		}
		if l.session, err = l.newSession(ctx, false, deletes); err != nil {
			return "", err
		}
		if _, _, err = l.client.KV().Acquire(&api.KVPair{Key: l.key, Session: l.session}, write(ctx)); err != nil {
			return "", err
		}
		_, err = l.client.Session().Destroy(session, write(ctx))
		what = byHandover
		l.planned = byRelease
		return what, err
	default:
		l.ends.allow(l.key, held, endReleased)
		_, _, err = l.client.KV().Release(&api.KVPair{Key: l.key, Session: session}, write(ctx))
		l.planned = byDestruction
		return byRelease, err
	}
	return l.planned, err
}

func (l *locker) newSession(ctx context.Context, expires, deletes bool) (string, error) {
	entry := &api.SessionEntry{Name: l.name + ":holder", LockDelay: time.Millisecond, Behavior: api.SessionBehaviorRelease}
	if expires {
		entry.TTL = "4s"
	}
	if deletes {
		entry.Behavior = api.SessionBehaviorDelete
	}
	id, _, err := l.client.Session().CreateNoChecks(entry, write(ctx))
	return id, err
}

// end leaves no hold and no session behind that would end by itself.
func (l *locker) end(ctx context.Context) {
	l.domain.Poll(ctx)
	held := l.domain.State(lockObject(l.key))
	if held != "" {
		l.ends.allow(l.key, held, endInvalidated)
	}
	l.destroySessions(ctx, l.name, l.domain)
}
