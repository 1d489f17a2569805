// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"maps"
	"strings"
	"time"
)

// What is known of a token is no longer than this. Who makes a token chooses its
// display name.
const (
	maxTokenPath   = 512
	maxDisplayName = 256
)

// Token is what is known of a token beside its times.
type Token struct {
	Path        string // that it was made at: of a login, or of what was wrapped
	DisplayName string
}

// TokenEffect is what happened to a token. Its ID is the accessor, which must be
// neither told nor stored: who has it may be able to revoke the token.
type TokenEffect = LifeEffect[Token]

// NewToken takes in what Vault tells of a token. Below sys/ the path of what was
// wrapped is cut, as it can end in the ID of a lease.
func NewToken(path, displayName string) Token {
	if parts := strings.SplitN(path, "/", 4); parts[0] == "sys" && len(parts) > 2 {
		path = strings.Join(parts[:3], "/")
	}
	return Token{Path: clip(path, maxTokenPath), DisplayName: clip(displayName, maxDisplayName)}
}

func clip(s string, most int) string {
	return strings.Clone(strings.ToValidUTF8(s[:min(len(s), most)], ""))
}

// Mount returns the path of the mount that made the token; empty of one that was
// not looked up yet.
func (t Token) Mount(mounts []string) string {
	if t.Path == "" {
		return ""
	}
	return MountOf(t.Path, mounts)
}

// Warnings knows which tokens were told to end, and when, also over a restart and
// when a Roster begins anew. It keeps hashes of their accessors.
type Warnings struct {
	limit int
	ends  map[string]int64 // in nanoseconds
}

// NewWarnings remembers at most limit tokens. Should there be more, their
// warnings may be told again.
func NewWarnings(limit int) *Warnings {
	return &Warnings{limit: limit, ends: map[string]int64{}}
}

// Take takes in what happened, and returns what of it is to be told: each warning
// once for the same end.
func (w *Warnings) Take(now time.Time, effects []TokenEffect) (news []TokenEffect) {
	for _, e := range effects {
		hash := HashOf(e.Life.ID)
		switch e.Event {
		case LifeExpiring:
			ends := nano(e.Life.Expires)
			if w.ends[hash] == ends {
				continue
			}
			w.remember(now, hash, ends)
			news = append(news, e)
		case LifeEnded:
			delete(w.ends, hash)
		}
	}
	return news
}

func (w *Warnings) remember(now time.Time, hash string, ends int64) {
	if _, known := w.ends[hash]; !known && len(w.ends) >= w.limit {
		w.forget(now)
		if len(w.ends) >= w.limit {
			return
		}
	}
	w.ends[hash] = ends
}

// outOfMind is how long after its end a token is forgotten, also when the clock
// of Vault is behind.
const outOfMind = time.Hour

func (w *Warnings) forget(now time.Time) {
	maps.DeleteFunc(w.ends, func(_ string, ends int64) bool { return ends < now.Add(-outOfMind).UnixNano() })
}

// SavedWarnings is what survives a restart: ends, by the hashes.
type SavedWarnings map[string]int64

// Save returns what has to survive a restart at now.
func (w *Warnings) Save(now time.Time) SavedWarnings {
	w.forget(now)
	return maps.Clone(w.ends)
}

// Restore takes in what an earlier process saved.
func (w *Warnings) Restore(now time.Time, saved SavedWarnings) {
	for hash, ends := range saved {
		w.remember(now, hash, ends)
	}
}
