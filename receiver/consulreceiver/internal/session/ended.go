// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"sync"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// maxEnded is how many sessions are remembered after their end.
const maxEnded = 1000

// Ended remembers the sessions that ended last: what they held may be observed
// to be free only afterwards. The zero Ended is ready.
type Ended struct {
	mu       sync.Mutex
	sessions map[string]Session
	ids      []string // in the order of their ends, from oldest on
	oldest   int
}

// Add takes in changes.
func (e *Ended) Add(changes []snapshot.Change[string, Session]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range changes {
		if !c.Removed {
			continue
		}
		if e.sessions == nil {
			e.sessions = map[string]Session{}
		}
		e.sessions[c.Key] = c.Prev
		if len(e.ids) < maxEnded {
			e.ids = append(e.ids, c.Key)
			continue
		}
		delete(e.sessions, e.ids[e.oldest])
		e.ids[e.oldest] = c.Key
		e.oldest = (e.oldest + 1) % maxEnded
	}
}

// Get returns a session that ended, or the zero Session.
func (e *Ended) Get(id string) Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}
