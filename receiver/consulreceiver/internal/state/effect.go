// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

// Effect is something that happened: one of the types below.
type Effect interface{ effect() }

// Missed says that changes may have gone unseen.
type Missed struct {
	Gap
	What string // the endpoint that was observed
}

// Filtered says that the token does not show everything that is there.
type Filtered struct {
	What string // the endpoint that was observed
}

// Changed is an object that came, changed or went.
type Changed[V comparable] struct {
	Key            string
	Prev, Next     V // zero when it was added, or removed
	Added, Removed bool
	Initial        bool // it was there when the first observation was made
	Reconciled     bool // it changed at an unknown time, behind a gap
}

// Now is the object as it is, or as it last was.
func (c Changed[V]) Now() V {
	if c.Removed {
		return c.Prev
	}
	return c.Next
}

func (Missed) effect()     {}
func (Filtered) effect()   {}
func (Changed[V]) effect() {}
