// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
	"time"
)

// take takes in a list of all leases, and returns which were granted and have ended.
func (ls *Leases) take(now time.Time, o Observation) (effects []Effect) {
	ls.list++
	report := ls.begun && ls.beyond == 0 // else it may have been there before
	if !o.Ends {
		ls.begun, ls.beyond = true, 0
	}
	for _, id := range o.IDs {
		if l := ls.known[id]; l != nil {
			if l.list = ls.list; l.listedBy != o.Member {
				l.listedBy = o.Member
				ls.change(id)
			}
			continue
		}
		if _, over := ls.over[id]; over || o.Ends {
			continue // Of one that is over, the end has not reached the member yet.
		}
		l := ls.begin(now, id)
		switch {
		case l == nil:
			ls.beyond++
			continue
		case report && l.Keys == 0:
			effects = append(effects, ls.grant(l, false))
		default:
			l.BeganBefore = true
		}
		l.listedBy = o.Member
	}
	ended := ls.absent(now, o)
	if o.Member != 0 {
		ls.reached[o.Member] = max(ls.reached[o.Member], o.Revision)
	}
	for _, id := range ended {
		if e, has := ls.settleAlone(now, ls.known[id]); has {
			effects = append(effects, e)
		}
	}
	return effects
}

// absent marks the leases as ended that the newest list shows not to be there, and
// returns them. The others that are not in it are to be queried.
func (ls *Leases) absent(now time.Time, o Observation) (ended []int64) {
	for id, l := range ls.known {
		switch {
		case l.list == ls.list || l.gone:
		case ls.provesEnd(l, o):
			l.end(now, false)
			ls.schedule(l, now.Add(time.Minute)) // its keys are about to go
			ended = append(ended, id)
		default:
			ls.schedule(l, latest(now, l.queried.Add(requeryAfter)))
		}
	}
	slices.Sort(ended)
	return ended
}

// provesEnd says whether a lease that is not in the newest list has ended. A member may lag, and
// not have a new lease yet. But what it had, or what was there at a revision that
// it had reached before it made the list, it had when it made it.
func (ls *Leases) provesEnd(l *lease, o Observation) bool {
	if o.Member == 0 || l.listedBy == 0 && l.since == 0 {
		return ls.list-l.list >= absences
	}
	return l.listedBy == o.Member || l.since > 0 && l.since <= ls.reached[o.Member]
}
