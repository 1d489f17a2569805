// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// keptRoster is what of a follower survives a restart.
type keptRoster[D any] struct {
	Cluster string
	Depth   int                  `json:",omitzero"`
	Roster  state.SavedRoster[D] `json:",omitzero"`
	More    json.RawMessage      `json:",omitempty"`
}

// save saves what is known, if that was told, and was not saved within some time.
func (f *follower[D]) save(ctx context.Context, every time.Duration) {
	if f.w.cfg.Storage == nil {
		return
	}
	f.mu.Lock()
	same := f.savedOf == f.roster && f.version == f.roster.Version() && !f.dirty
	if f.telling || len(f.waiting) > 0 || !f.begun || same || time.Since(f.saved) < every {
		f.mu.Unlock()
		return
	}
	kept := keptRoster[D]{Cluster: f.term.Cluster, Depth: f.depth}
	if !f.secret {
		kept.Roster = f.roster.Save()
	}
	var err error
	if f.more != nil {
		kept.More, err = json.Marshal(f.more())
	}
	f.savedOf, f.version, f.saved, f.dirty = f.roster, f.roster.Version(), time.Now(), false
	f.mu.Unlock()
	err = errors.Join(err, f.w.store.Save(ctx, f.stored, kept))
	f.w.Condition.Set(storageState, err)
	if err != nil {
		f.mu.Lock()
		f.dirty = true
		f.mu.Unlock()
	}
}

// load returns what an earlier process saved that goes on in the term, or nil.
func (f *follower[D]) load(ctx context.Context, now term) *keptRoster[D] {
	kept, ok := resume(ctx, f.w, f.stored, now, func(kept keptRoster[D]) string { return kept.Cluster })
	if !ok || kept.Depth != f.depth {
		return nil
	}
	return &kept
}

// restore goes on from what an earlier process saved. The follower is locked.
func (f *follower[D]) restore(kept *keptRoster[D]) {
	f.roster.Restore(kept.Roster, f.parts...)
	if f.resume != nil {
		f.resume(kept.More)
	}
	f.miss()
}
