// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Domain is a part of the server that one actor alone changes. Its truth is read
// from the server after each operation, so that it holds too when an operation
// failed or the server went back to a snapshot.
type Domain struct {
	// Read returns the state of each object of the domain, as the leader has it.
	Read func(ctx context.Context) (map[string]string, error)
	// Keep and Within are those of the timelines.
	Keep, Within time.Duration
	// KeepOf is how long a state must last, if it is not Keep; may be nil.
	KeepOf func(object, before, state string) time.Duration
	// Unsettled says that the server itself may change the objects while it restarts.
	Unsettled bool
	// Hidden says that the collector may not see the objects at times.
	Hidden bool
	// Passes returns the state that an object had for a short time between two that were
	// read one after the other, if there is one; may be nil.
	Passes func(object, before, after string) (state string, ok bool)

	reading   sync.Mutex // one at a time, so that what was read later is kept
	mu        sync.Mutex
	timelines map[string]*Timeline
	states    map[string]string
	read      time.Time // when the truth was last read
}

// Record reads what became of the domain since a time, until that succeeds.
func (d *Domain) Record(ctx context.Context, from time.Time) { d.record(ctx, from, false) }

// RecordRestored is Record after the server went back to a snapshot: what changed by that
// has to be reported as reconciled.
func (d *Domain) RecordRestored(ctx context.Context, from time.Time) { d.record(ctx, from, true) }

func (d *Domain) record(ctx context.Context, from time.Time, restored bool) {
	d.reading.Lock()
	defer d.reading.Unlock()
	var states map[string]string
	var began time.Time
	if !Until(ctx, 50*time.Millisecond, func() bool {
		var err error
		began = time.Now()
		states, err = d.Read(ctx)
		return err == nil
	}) {
		return
	}
	until := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timelines == nil {
		d.timelines = map[string]*Timeline{}
	}
	for object, state := range states {
		d.turn(object, Turn{State: state, From: from, Until: until, Restored: restored})
	}
	for object := range d.states {
		if _, still := states[object]; !still {
			d.turn(object, Turn{State: Absent, From: from, Until: until, Restored: restored})
		}
	}
	d.states, d.read = states, began
}

// Poll reads what became of the domain by itself since it was last read.
func (d *Domain) Poll(ctx context.Context) {
	d.mu.Lock()
	from := d.read
	d.mu.Unlock()
	d.Record(ctx, from)
}

func (d *Domain) turn(object string, turn Turn) {
	if d.states[object] == turn.State {
		return
	}
	l := d.timelines[object]
	if l == nil {
		l = &Timeline{Object: object, Keep: d.Keep, Within: d.Within}
		d.timelines[object] = l
	}
	if d.Passes != nil {
		if state, ok := d.Passes(object, l.state(len(l.Turns)-1), turn.State); ok {
			passed := turn
			passed.State = state
			l.Turns = append(l.Turns, passed)
		}
	}
	if d.KeepOf != nil {
		turn.Keep = d.KeepOf(object, l.state(len(l.Turns)-1), turn.State)
	}
	l.Turns = append(l.Turns, turn)
}

// State returns the last known state of an object.
func (d *Domain) State(object string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.states[object]
}

// Objects returns the objects that there were so far.
func (d *Domain) Objects() (all []string) {
	for _, l := range d.Timelines() {
		all = append(all, l.Object)
	}
	return all
}

// AllRested is Rested, of all objects that there were so far.
func (d *Domain) AllRested() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.timelines {
		if !l.rested() {
			return false
		}
	}
	return true
}

// Rested says whether the state of all these objects has lasted so long that it has to be
// reported.
func (d *Domain) Rested(objects ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, object := range objects {
		if l := d.timelines[object]; l != nil && !l.rested() {
			return false
		}
	}
	return true
}

func (l *Timeline) rested() bool {
	last := len(l.Turns) - 1
	return time.Since(l.Turns[last].Until) >= l.keep(last)+skew
}

// Timelines returns the truth, in the order of the objects.
func (d *Domain) Timelines() (all []*Timeline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, object := range slices.Sorted(maps.Keys(d.timelines)) {
		all = append(all, d.timelines[object])
	}
	return all
}
