// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package sessionlist compares successive lists of all sessions, to find between
// which indexes a session ended, and what else happened to sessions there.
package sessionlist

import (
	"sync"
)

const (
	// maxEnded is how many sessions are remembered after their end.
	maxEnded = 1000
	// maxCreated is how many creations between two lists are remembered. With more, no
	// end is known.
	maxCreated = 1000
)

// End is what two lists show of the end of a session: the last one with it and the
// first one without it. The index of a list is that at which sessions changed last.
type End struct {
	Lived, Gone uint64 // the indexes of the two lists
	// Alone means that all other sessions of the first list are in the second.
	Alone bool
	// Created are the indexes between, at which sessions of the second list were created.
	Created []uint64
}

// Lists compares lists of sessions. The zero Lists is ready.
type Lists struct {
	mu      sync.Mutex
	index   uint64 // of the last list; 0: there is none
	living  map[string]uint64
	ended   map[string]End
	endings []string // the IDs of ended, in a ring
	oldest  int
}

// Add takes in a complete list: the indexes at which sessions were created, by their
// IDs. It must not be changed any more. A list that is older than another changes nothing.
func (l *Lists) Add(index uint64, created map[string]uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index <= l.index {
		return
	}
	if l.index > 0 {
		l.compare(index, created)
	}
	l.index, l.living = index, created
}

func (l *Lists) compare(index uint64, created map[string]uint64) {
	var gone []string
	for id := range l.living {
		if _, lives := created[id]; !lives {
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		return
	}
	end := End{Lived: l.index, Gone: index, Alone: len(gone) == 1}
	for _, at := range created {
		if at > l.index {
			end.Created = append(end.Created, at)
		}
	}
	if len(end.Created) > maxCreated {
		return
	}
	for _, id := range gone {
		l.remember(id, end)
	}
}

func (l *Lists) remember(id string, end End) {
	if l.ended == nil {
		l.ended = map[string]End{}
	}
	l.ended[id] = end
	if len(l.endings) < maxEnded {
		l.endings = append(l.endings, id)
		return
	}
	delete(l.ended, l.endings[l.oldest])
	l.endings[l.oldest] = id
	l.oldest = (l.oldest + 1) % maxEnded
}

// Forget forgets all lists: what follows does not continue them, or is not complete.
func (l *Lists) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index, l.living, l.endings, l.oldest = 0, nil, nil, 0
	clear(l.ended)
}

// End returns what is known of the end of a session, if the lists show it.
func (l *Lists) End(id string) (End, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, found := l.ended[id]
	return end, found
}
