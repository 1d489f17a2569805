// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func at(seconds int) When { return When{Now: time.Unix(int64(seconds), 0)} }

func key(lease, created int64) Key {
	return Key{Name: fmt.Sprintf("/l/%x", lease), Lease: lease, Created: created}
}

func newQueues(t *testing.T) (*Locks, *Queues) {
	t.Helper()
	locks := NewLocks([]string{"/"}, nil)
	queues := locks.Under(Prefixes{Locks: []string{"/"}})
	t.Cleanup(func() {
		require.NoError(t, queues.Verify(true))
		require.NoError(t, locks.Verify(queues))
	})
	return locks, queues
}

func TestTheNextInTheOrderOfRevisionsHolds(t *testing.T) {
	locks, q := newQueues(t)
	first, _ := q.Enqueue(key(0xc, 2), true, at(1).Now)
	assert.Len(t, q.Promote(2, at(1)), 1)
	second, _ := q.Enqueue(key(0xa, 3), true, at(2).Now)
	third, _ := q.Enqueue(key(0xb, 4), true, at(2).Now)
	assert.Empty(t, q.Promote(4, at(2)), "the first one holds")
	assert.Equal(t, []int{0, 1, 2}, []int{first.Position, second.Position, third.Position})

	assert.IsType(t, Abandoned{}, q.End(third, 5, ByClient, at(3)))
	assert.IsType(t, Released{}, q.End(first, 6, LeaseExpired, at(4)))
	effects := q.Promote(6, at(4))
	require.Len(t, effects, 1)
	acquired := effects[0].(Acquired)
	assert.Equal(t, "/l/a", acquired.Attempt.Key)
	assert.Equal(t, "/l/c", acquired.Attempt.PreviousHolder.Key)
	assert.Equal(t, LeaseExpired, acquired.Attempt.PreviousHolder.Attempt.Cause)
	counts, _ := locks.Counts()
	assert.Equal(t, map[string]Counts{"/": {Holding: 1, Acquired: 2, Abandoned: 1}}, counts)
}

func TestNobodyHoldsBetweenTheChangesOfARevision(t *testing.T) {
	_, q := newQueues(t)
	first, _ := q.Enqueue(key(0xa, 2), true, at(1).Now)
	q.Promote(2, at(1))
	second, _ := q.Enqueue(key(0xb, 3), true, at(2).Now)
	q.Promote(3, at(2))
	q.End(first, 4, ByClient, at(3))
	assert.IsType(t, Abandoned{}, q.End(second, 4, ByClient, at(3)), "it never held the lock")
	assert.Empty(t, q.Promote(4, at(3)))
}

func TestAWaitThatEndedInAGapMayHaveBeenAHold(t *testing.T) {
	_, q := newQueues(t)
	q.Enqueue(key(0xa, 2), true, at(1).Now)
	second, _ := q.Enqueue(key(0xb, 3), true, at(1).Now)
	q.Promote(3, at(1))
	gap := When{Now: at(2).Now, Reconciled: true, Unordered: true}
	released := q.End(second, 9, CauseUnknown, gap).(Released)
	assert.True(t, released.Attempt.Unordered)
	assert.True(t, released.Attempt.Reconciled)
	assert.False(t, released.Attempt.Holds())
}

func TestSavedAttemptsGoOn(t *testing.T) {
	_, q := newQueues(t)
	q.Enqueue(key(0xa, 2), true, at(1).Now)
	q.Promote(2, at(1))
	q.Enqueue(key(0xb, 3), true, at(2).Now)
	_, next := newQueues(t)
	for _, saved := range q.Save() {
		require.True(t, next.Follows(saved))
		next.Restore(saved)
		assert.False(t, next.Follows(saved), "it is there already")
	}
	assert.Equal(t, q.Save(), next.Save())
	assert.Equal(t, at(1).Now, next.Attempt("/l/a").Acquired)
	assert.False(t, next.Follows(SavedAttempt{Key: []byte("/l/c"), Lock: []byte("/other"), Lease: 0xc}))
}
