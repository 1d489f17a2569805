// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package alarm

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// Type is what an alarm is about.
type Type string

// The alarms that there are. While there is one of NoSpace, etcd takes no writes.
const (
	NoSpace Type = "nospace"
	Corrupt Type = "corrupt"
	Unknown Type = "unknown"
)

// Alarm is one that is raised.
type Alarm struct {
	Member uint64 // ID of the member that raised it
	Type   Type
}

func (a Alarm) compare(b Alarm) int {
	return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Type, b.Type))
}

// Set are the alarms that are raised.
type Set map[Alarm]struct{}

// Change is an alarm that was raised or cleared.
type Change struct {
	Alarm
	Raised     bool
	At         time.Time
	Reconciled bool // it happened at an unknown time
}

// Tracker tracks which alarms are raised. Its zero value knows nothing yet.
type Tracker struct {
	raised snapshot.Tracker[Alarm, struct{}]
}

// Step takes in the alarms that are raised, as read at now; gap means that the read
// before failed. The first ones are a baseline, not news.
func (t *Tracker) Step(now time.Time, raised Set, gap bool) (changes []Change) {
	observed := snapshot.Observation[Alarm, struct{}]{
		// The list has no index: each may differ from the one before.
		Continuity: snapshot.Continuity{Index: t.raised.Index() + 1, Gap: gap}, Objects: raised,
	}
	_, found := t.raised.Step(observed, Alarm.compare)
	for _, c := range found {
		if !c.Initial || c.Reconciled {
			changes = append(changes, Change{Alarm: c.Key, Raised: c.Added, At: now, Reconciled: c.Reconciled})
		}
	}
	return changes
}

// Save returns the alarms that are raised, sorted; nil when they are not known.
func (t *Tracker) Save() []Alarm {
	if t.raised.Known() == nil {
		return nil
	}
	return append([]Alarm{}, slices.SortedFunc(maps.Keys(t.raised.Known()), Alarm.compare)...)
}

// Restore goes on from the alarms that an earlier process saved, before the first Step.
func (t *Tracker) Restore(saved []Alarm) {
	if saved == nil {
		return
	}
	raised := make(Set, len(saved))
	for _, a := range saved {
		raised[a] = struct{}{}
	}
	t.raised.Restore(raised, 0)
}
