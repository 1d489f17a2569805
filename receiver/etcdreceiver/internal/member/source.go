// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package member observes the members of the cluster: which there are, and what each
// reports of itself.
package member

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

// Condition is the name of the condition of the list of members.
const Condition = "list of members"

// Part observes the list of members.
type Part struct {
	interval time.Duration
	list     collect.Poll[map[uint64]Peer]
	tracker  Tracker
}

var _ collect.Part = (*Part)(nil)

// New returns a Part that reads the list at an interval.
func New(interval time.Duration) *Part {
	return &Part{interval: interval, list: collect.Poll[map[uint64]Peer]{Name: Condition}}
}

// Begin begins with a cluster, and the members that an earlier process knew, or nil.
func (p *Part) Begin(peers map[uint64]Peer) {
	p.tracker = Tracker{}
	p.tracker.Restore(peers)
}

// Save returns the members, or nil when they are not known; not to be changed.
func (p *Part) Save() map[uint64]Peer { return p.tracker.Save() }

// Poll implements collect.Part.
func (p *Part) Poll(r collect.Requests) { p.list.Request(r, p.interval, read) }

func read(ctx context.Context, api *etcdapi.Client) (map[uint64]Peer, error) {
	members, err := api.Members(ctx)
	if err != nil {
		return nil, err
	}
	peers := make(map[uint64]Peer, len(members))
	for _, m := range members {
		peers[m.ID] = Peer{Name: m.Name, Learner: m.Learner}
	}
	return peers, nil
}

// Step implements collect.Part.
func (p *Part) Step(now time.Time, _ collect.Round) func(*collect.Renderer) {
	return collect.Changes(now, &p.list, p.tracker.Step, Render)
}

// Record implements collect.Part.
func (p *Part) Record(m collect.Metrics) {
	if peers, fresh := p.list.Fresh(m.Now, m.MaxAge); fresh {
		RecordPeers(m, peers)
	}
}
