// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// maxIssues is how many requests that issued leases are remembered, the newest. It
// is some minutes of as many as the budget of the leases lets be followed.
const maxIssues = 10_000

// origin returns the request that has issued a lease, or nil when it is not known,
// or not yet: one that has not been answered may be it.
func (s *auditStream) origin(lease string, issued time.Time) *state.Origin {
	s.mu.Lock()
	defer s.mu.Unlock()
	origin := s.origins.Of(lease, issued)
	if origin != nil && origin.Likely && s.pairing.Asked(state.FolderOf(lease), issued) {
		return nil
	}
	return origin
}

// trace puts the requests that have issued leases into what is told of their
// issue and of their end, and keeps them until then. The follower is not locked.
func (l *leases) trace(effects []state.LifeEffect[state.LeaseDetail]) {
	if l.w.audit == nil {
		return
	}
	for i := range effects {
		e := &effects[i]
		tells := e.Event == state.LifeCreated || e.Event == state.LifeEnded
		if !tells || e.Life.Detail.Origin != nil {
			continue
		}
		e.Life.Detail.Origin = l.w.audit.origin(e.Life.ID, e.Life.Issued)
		if origin := e.Life.Detail.Origin; origin != nil {
			l.mu.Lock()
			l.roster.Change(e.Life.ID, func(detail *state.LeaseDetail) (changed bool) {
				changed, detail.Origin = detail.Origin == nil, origin
				return changed
			})
			l.mu.Unlock()
		}
	}
}

// retrace looks for the requests of leases that are new, as what audit devices tell
// may come later than the lease. The follower is locked.
func (l *leases) retrace(now time.Time, prefix string) {
	if l.w.audit == nil {
		return
	}
	since := now.Add(-max(l.w.cfg.Audit.Wait, 2*l.cfg.Interval))
	l.roster.ChangeNew(since, prefix, func(id string, issued time.Time, detail *state.LeaseDetail) bool {
		if detail.Origin == nil {
			detail.Origin = l.w.audit.origin(id, issued)
			return detail.Origin != nil
		}
		return false
	})
}
