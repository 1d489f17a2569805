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
	History  lock.History `json:",omitzero"`
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
	return Saved{
		Revision: p.revision, Newest: save(p.newest), Restores: p.restores, History: p.locks.History(), Attempts: p.locks.Save(),
	}, true
}

// restore goes on from what an earlier process saved. What is not followed any
// more is left out.
func (s *step) restore(o Observation) {
	if o.Saved == nil {
		return
	}
	s.p.revision, s.p.resumed, s.p.restores = max(0, o.Saved.Revision), true, max(0, o.Saved.Restores)
	s.p.locks.SetHistory(o.Saved.History)
	for _, saved := range o.Saved.Attempts {
		k := key.Key{Name: string(saved.Key), Created: saved.Created, Modified: saved.Created, Lease: saved.Lease}
		if saved.Election {
			k.Size = 1 // which tells the two apart
		}
		if s.p.locks.Follows(saved) && s.p.keys.Restore(k) {
			s.p.leases.Attach(k.Lease, k.Name, k.Modified, false, s.whenLeases())
			s.p.leases.Prefer(k.Lease)
			s.p.locks.Restore(saved)
		}
	}
}

// SaveLeases returns what is to survive of the leases.
func (m *Machine) SaveLeases() []lease.Saved { return m.leases.Save() }

// ChangedLeases takes what has changed of some leases since it was taken last, at most
// so many, and says whether there is more.
func (m *Machine) ChangedLeases(limit int) (c lease.SavedChanges, more bool) {
	return m.leases.Changed(limit)
}

// ChangeAllLeases has all leases taken as changed, and from now on those that change.
func (m *Machine) ChangeAllLeases() { m.leases.ChangeAll() }

// RestoreLeases goes on from what an earlier process saved, before the first
// step.
func (m *Machine) RestoreLeases(now time.Time, saved []lease.Saved) { m.leases.Restore(now, saved) }
