// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
)

const (
	// StorageKey is the key under which leases are stored.
	StorageKey = "leases"

	// perPart is how many changed leases are copied and written at once.
	perPart = 2_000

	// leastEntries and mostParts are how many changes, and how many writes of some, are
	// stored apart at least and at most before they are joined.
	leastEntries = 1_000
	mostParts    = 1_000
)

// Checkpoint is what is stored of the leases when parts are joined. Changes since are in
// parts of the same Generation, each under a key of its own: to write all leases each
// time would cost more the more there are, however few change.
type Checkpoint struct {
	Cluster    uint64
	Leases     []Saved
	Generation int64 `json:",omitempty"`
}

type part struct {
	Generation int64
	SavedChanges
}

// Storage keeps the leases over a restart.
type Storage struct {
	env *collect.Env

	valid      bool // what is stored is what was saved so far
	cluster    uint64
	generation int64
	leases     int // in the checkpoint
	parts      int64
	entries    int // of the parts
}

// NewStorage returns a Storage that has read nothing yet.
func NewStorage(e *collect.Env) *Storage { return &Storage{env: e} }

// Load returns the leases of a cluster that were stored.
func (s *Storage) Load(ctx context.Context, cluster uint64) ([]Saved, bool) {
	stored, found := s.checkpoint().Load(ctx)
	if !found || stored.Cluster != cluster {
		return nil, false
	}
	s.cluster, s.generation, s.leases, s.parts, s.entries = cluster, stored.Generation, len(stored.Leases), 0, 0
	all := make(map[int64]Saved, len(stored.Leases))
	for _, l := range stored.Leases {
		all[l.ID] = l
	}
	for {
		p, found := s.part(s.parts + 1).Load(ctx)
		if !found || p.Generation != s.generation {
			break
		}
		s.parts++
		s.entries += p.size()
		p.apply(all)
	}
	s.valid = true
	return slices.SortedFunc(maps.Values(all), func(a, b Saved) int { return cmp.Compare(a.ID, b.ID) }), true
}

// Changing are leases that change while they are saved.
type Changing interface {
	// ChangedLeases takes what has changed of some leases since it was taken last, at
	// most so many, and says whether there is more. It fails when that may not be
	// stored now.
	ChangedLeases(limit int) (c SavedChanges, more, ok bool)

	// ChangeAllLeases has all leases taken as changed.
	ChangeAllLeases()
}

// Save stores what has changed of the leases of a cluster.
func (s *Storage) Save(ctx context.Context, cluster uint64, leases Changing) (saved bool) {
	if !s.valid || s.cluster != cluster {
		leases.ChangeAllLeases()
		if !s.begin(ctx, Checkpoint{Cluster: cluster}) {
			return false
		}
	}
	if s.entries > max(leastEntries, s.leases) || s.parts >= mostParts {
		if !s.join(ctx) {
			return false
		}
	}
	for more := true; more; {
		var changes SavedChanges
		var ok bool
		if changes, more, ok = leases.ChangedLeases(perPart); !ok {
			return false
		}
		if changes.size() == 0 {
			break
		}
		s.parts++
		s.entries += changes.size()
		if s.part(s.parts).Save(ctx, part{s.generation, changes}) != nil {
			s.valid = false // All is stored again.
			return false
		}
	}
	return true
}

// join makes a checkpoint of what is stored.
func (s *Storage) join(ctx context.Context) bool {
	all, found := s.Load(ctx, s.cluster)
	s.valid = found && s.begin(ctx, Checkpoint{Cluster: s.cluster, Leases: all})
	return s.valid
}

// begin stores a checkpoint, with which the parts before are over.
func (s *Storage) begin(ctx context.Context, c Checkpoint) bool {
	c.Generation = time.Now().UnixNano()
	s.cluster, s.generation, s.leases, s.parts, s.entries = c.Cluster, c.Generation, len(c.Leases), 0, 0
	s.valid = s.checkpoint().Save(ctx, c) == nil
	return s.valid
}

func (s *Storage) checkpoint() checkpoint.Slot[Checkpoint] {
	return collect.Slot[Checkpoint](s.env, StorageKey, StorageKey)
}

func (s *Storage) part(number int64) checkpoint.Slot[part] {
	return collect.Slot[part](s.env, fmt.Sprintf("%s/%d", StorageKey, number), StorageKey)
}
