// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package leader observes who leads the cluster, and the times without a leader.
package leader

import (
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

// Part observes the leader. It makes no requests: the members report whom they follow.
type Part struct{ tracker Tracker }

var _ collect.Part = (*Part)(nil)

// Begin begins with a cluster, and the time without a leader that lasted when an earlier
// process ended, or nil.
func (p *Part) Begin(open *Leaderless) {
	p.tracker = Tracker{}
	p.tracker.Restore(open)
}

// Save returns the time without a leader that lasts, or nil.
func (p *Part) Save() *Leaderless { return p.tracker.Save() }

// Poll implements collect.Part.
func (p *Part) Poll(collect.Requests) {}

// Step implements collect.Part.
func (p *Part) Step(now time.Time, round collect.Round) func(*collect.Renderer) {
	change := p.tracker.Step(now, membersOf(round.Members), round.Gap)
	if change == nil {
		return nil
	}
	return func(r *collect.Renderer) { Render(r, *change) }
}

func membersOf(statuses []etcdapi.Status) []Member {
	members := make([]Member, len(statuses))
	for i, s := range statuses {
		members[i] = Member{LeaderID: s.LeaderID, Term: s.RaftTerm}
	}
	return members
}

// Record implements collect.Part.
func (p *Part) Record(m collect.Metrics) {
	RecordChanges(m, p.tracker.Changes())
	if has, known := HasLeader(membersOf(m.Members)); known {
		RecordLeader(m, has)
	}
}
