// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"fmt"
	"slices"
)

// Verify returns an error if what is known contradicts itself. whole says that no
// key is over the limit, so that each lock has a holder. Tests call it after each
// step.
func (q *Queues) Verify(whole bool) error {
	queued := 0
	for lock, of := range q.queues {
		queued += len(of.attempts)
		if err := q.verify(lock, of, whole); err != nil {
			return err
		}
	}
	if queued != len(q.attempts) {
		return fmt.Errorf("%d in queues, %d attempts", queued, len(q.attempts))
	}
	return nil
}

func (q *Queues) verify(lock string, of *queue, whole bool) error {
	if !slices.IsSortedFunc(of.attempts, func(a, b *Attempt) int { return cmp.Compare(a.Created, b.Created) }) {
		return fmt.Errorf("the queue of %s is not in order", lock)
	}
	if len(of.attempts) == 0 {
		return fmt.Errorf("nobody wants %s", lock)
	}
	holding := 0
	for _, a := range of.attempts {
		if a.Lock != lock || q.attempts[a.Key] != a {
			return fmt.Errorf("%v is in the queue of %s", a, lock)
		}
		if a.Holds() {
			holding++
		}
	}
	first := of.first()
	switch {
	case holding > 1 || whole && of.holder == nil:
		return fmt.Errorf("%d of %d hold %s", holding, len(of.attempts), lock)
	case whole && (of.holder.Key != first.Key || first.of(lock) && !first.Attempt.Holds()):
		return fmt.Errorf("%s is held, but not by the first", lock)
	case of.holder.of(lock) != (holding == 1), of.holder.of(lock) && !of.holder.Attempt.Holds():
		return fmt.Errorf("%s is held by %v", lock, of.holder)
	case !slices.IsSortedFunc(of.others, byRevision):
		return fmt.Errorf("the other keys of %s are not in order", lock)
	}
	return nil
}

// Verify returns an error if the queues were not counted right.
func (l *Locks) Verify(under ...*Queues) error {
	locks, elections := l.Counts()
	for _, q := range under {
		for _, a := range q.attempts {
			counts := locks
			if a.Election {
				counts = elections
			}
			c := counts[a.Prefix]
			if a.Holds() {
				c.Holding--
			} else {
				c.Waiting--
			}
			counts[a.Prefix] = c
		}
	}
	for _, counts := range []map[string]Counts{locks, elections} {
		for prefix, c := range counts {
			if c.Holding != 0 || c.Waiting != 0 {
				return fmt.Errorf("%d holders and %d waiters too many are counted under %s", c.Holding, c.Waiting, prefix)
			}
		}
	}
	return nil
}
