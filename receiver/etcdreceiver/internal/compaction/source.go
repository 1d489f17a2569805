// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package compaction observes the history of the cluster: how many revisions are made,
// and how many of them are compacted.
package compaction

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

// Condition is the name of the condition of compactions.
const Condition = "compactions"

// Part observes the history.
type Part struct {
	interval time.Duration
	key      string
	oldest   collect.Poll[int64] // revision that can be read; 0: the user may not
	tracker  Tracker
	history  History
	begun    bool
}

var _ collect.Part = (*Part)(nil)

// New returns a Part that reads a key at an interval, to find out about compactions.
func New(interval time.Duration, key string) *Part {
	return &Part{interval: interval, key: key, oldest: collect.Poll[int64]{Name: Condition}}
}

// Begin begins with a cluster, and the oldest revision that an earlier process knew, or 0.
func (p *Part) Begin(oldest int64) {
	if p.begun {
		p.oldest.Forget() // It is of another history.
	}
	p.tracker, p.history, p.begun = Tracker{}, History{}, true
	p.tracker.Restore(oldest)
}

// Save returns the oldest revision; 0 when it is not known.
func (p *Part) Save() int64 { return p.tracker.Save() }

// Poll implements collect.Part.
func (p *Part) Poll(r collect.Requests) {
	p.oldest.Request(r, p.interval, func(ctx context.Context, api *etcdapi.Client) (int64, error) {
		return api.OldestRevision(ctx, p.key, p.oldest.Value())
	})
}

// Step implements collect.Part.
func (p *Part) Step(now time.Time, round collect.Round) func(*collect.Renderer) {
	p.history.Step(membersOf(round.Members))
	answer, ok := p.oldest.Take()
	if !ok || answer.Value <= 0 {
		return nil
	}
	change := p.tracker.Step(now, answer.Value)
	if change == nil {
		return nil
	}
	return func(r *collect.Renderer) { Render(r, *change) }
}

func membersOf(statuses []etcdapi.Status) []Member {
	members := make([]Member, len(statuses))
	for i, s := range statuses {
		members[i] = Member{Revision: s.Revision, Term: s.RaftTerm, Follows: s.LeaderID != 0}
	}
	return members
}

// Record implements collect.Part.
func (p *Part) Record(m collect.Metrics) {
	RecordRevisions(m, p.history.Made())
	if oldest, fresh := p.oldest.Fresh(m.Now, m.MaxAge); fresh && oldest > 0 {
		RecordOldest(m, oldest)
	}
}
