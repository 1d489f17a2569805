// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package alarm observes the alarms that members raise.
package alarm

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

// Condition is the name of the condition of the alarms.
const Condition = "alarms"

// Part observes the alarms.
type Part struct {
	interval time.Duration
	list     collect.Poll[Set]
	reported string // what the members reported when alarms were last read
	tracker  Tracker
}

var _ collect.Part = (*Part)(nil)

// New returns a Part that reads the alarms at an interval, while there are any.
func New(interval time.Duration) *Part {
	return &Part{interval: interval, list: collect.Poll[Set]{Name: Condition}}
}

// Begin begins with a cluster, and the alarms that an earlier process knew, or nil.
func (p *Part) Begin(saved []Alarm) {
	p.tracker = Tracker{}
	p.tracker.Restore(saved)
}

// Save returns the alarms that are raised, or nil when they are not known.
func (p *Part) Save() []Alarm { return p.tracker.Save() }

// Poll implements collect.Part. It reads the alarms when what the members report has
// changed, and from time to time while there are any: each read is a proposal to raft.
func (p *Part) Poll(r collect.Requests) {
	reported := reportedBy(r.Members)
	if r.API != nil && !p.list.Pending() && reported == "" && len(p.list.Value()) == 0 {
		p.reported = ""
		p.list.Answered(r, Set{})
		return
	}
	every := p.interval
	if r.API != nil && reported != p.reported {
		every = 0
	}
	if p.list.Request(r, every, read) {
		p.reported = reported
	}
}

// reportedBy joins what the members report.
func reportedBy(members []etcdapi.Status) string {
	var all []string
	for _, m := range members {
		if m.Errors != "" {
			all = append(all, m.Errors)
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "\n")
}

func read(ctx context.Context, api *etcdapi.Client) (Set, error) {
	alarms, err := api.Alarms(ctx)
	if err != nil {
		return nil, err
	}
	raised := make(Set, len(alarms))
	for _, a := range alarms {
		raised[Alarm{Member: a.Member, Type: Type(a.Type)}] = struct{}{}
	}
	return raised, nil
}

// Step implements collect.Part.
func (p *Part) Step(now time.Time, _ collect.Round) func(*collect.Renderer) {
	return collect.Changes(now, &p.list, p.tracker.Step, Render)
}

// Record implements collect.Part.
func (p *Part) Record(m collect.Metrics) {
	if raised, fresh := p.list.Fresh(m.Now, m.MaxAge); fresh {
		RecordAlarms(m, raised)
	}
}
