// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "cmp"

// Register follows objects that have no story beyond coming, changing and
// going.
type Register[V comparable] struct {
	// TellInitial says that the first observation is news, too.
	TellInitial bool

	follower Follower[string, V]
}

// Step takes in the next observation and returns its effects, in the order of
// the keys.
func (r *Register[V]) Step(o Observation[string, V]) (*Gap, []Effect) {
	gap, changes := r.follower.Step(o, cmp.Compare[string])
	var effects []Effect
	for _, c := range changes {
		if c.Rebased || c.Initial && !r.TellInitial {
			continue
		}
		effects = append(effects, Changed[V]{
			Key: c.Key, Prev: c.Prev, Next: c.Next, Added: c.Added, Removed: c.Removed,
			Initial: c.Initial, Reconciled: c.Reconciled,
		})
	}
	return gap, effects
}

// Clone returns a copy that goes on by itself.
func (r *Register[V]) Clone() *Register[V] {
	c := *r
	return &c
}

// Known returns the objects of the last observation; not to be changed.
func (r *Register[V]) Known() map[string]V { return r.follower.Known() }
