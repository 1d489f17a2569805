// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// Saved is what survives a restart of what is known under one covering prefix.
type Saved struct {
	Revision int64
	Newest   *SavedChange `json:",omitempty"` // that is known
	Restores int          `json:",omitempty"` // how often etcd had another history
	Attempts []lock.SavedAttempt
}

// SavedChange is a change by which a history is known again. Names need not be text.
type SavedChange struct {
	Name                              []byte
	Modified, Created, Version, Lease int64
	Deleted                           bool
}

func save(c key.Change) *SavedChange {
	if c.Key.Name == "" {
		return nil
	}
	return &SavedChange{
		Name: []byte(c.Key.Name), Modified: c.Key.Modified, Created: c.Key.Created, Version: c.Key.Version, Lease: c.Key.Lease, Deleted: c.Deleted,
	}
}

func (c *SavedChange) change() key.Change {
	if c == nil {
		return key.Change{}
	}
	return key.Change{
		Key:     key.Key{Name: string(c.Name), Modified: c.Modified, Created: c.Created, Version: c.Version, Lease: c.Lease},
		Deleted: c.Deleted,
	}
}

// Save returns what is to survive of a prefix; nothing before its baseline.
func (m *Machine) Save(prefix string) (Saved, bool) {
	p := m.parts[prefix]
	if p == nil {
		return Saved{}, false
	}
	return Saved{Revision: p.revision, Newest: save(p.newest), Restores: p.restores, Attempts: p.locks.Save()}, true
}

// restore goes on from what an earlier process saved. What is not followed any
// more is left out.
func (s *step) restore(o Observation) {
	if o.Saved == nil {
		return
	}
	s.p.revision, s.p.resumed, s.p.restores = max(0, o.Saved.Revision), true, max(0, o.Saved.Restores)
	for _, saved := range o.Saved.Attempts {
		k := key.Key{Name: string(saved.Key), Created: saved.Created, Modified: saved.Created, Lease: saved.Lease}
		if saved.Election {
			k.Size = 1 // which tells the two apart
		}
		if s.p.locks.Follows(saved) && s.p.keys.Restore(k) {
			s.p.leases.Attach(k.Lease, k.Name, k.Modified, false, s.whenLeases())
			s.p.locks.Restore(saved, s.now)
		}
	}
	s.p.locks.AssumeHolders(s.now)
}

// SaveLeases returns what is to survive of the leases.
func (m *Machine) SaveLeases() []lease.Saved { return m.leases.Save() }

// RestoreLeases goes on from what an earlier process saved, before the first
// step.
func (m *Machine) RestoreLeases(now time.Time, saved []lease.Saved) { m.leases.Restore(now, saved) }
