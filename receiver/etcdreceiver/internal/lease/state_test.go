// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestEndedLeasesAreForgottenInTheEnd(t *testing.T) {
	now := time.Unix(1, 0)
	ls := New(2, true)
	ls.Step(now, Observation{Listed: true})
	for id := range int64(9) {
		ls.Step(now, Observation{Listed: true, IDs: []int64{id + 1}})
		ls.Step(now, Observation{Answers: []Answer{{ID: id + 1, At: now, Remaining: -1}}})
	}
	assert.Len(t, ls.over, 2)
	assert.Len(t, ls.order, 2)
	assert.Equal(t, map[Cause]int64{EndUnknown: 9, Revoked: 0, Expired: 0}, ls.Counts().Ended)
	assert.Equal(t, int64(9), ls.Counts().Granted)
	assert.NoError(t, ls.Verify())
}

func TestRestoredLeases(t *testing.T) {
	ls := New(1, true)
	ls.Restore(time.Unix(1, 0), []Saved{{ID: 1, Names: make([][]byte, 100)}, {ID: 2}})
	assert.Len(t, ls.known, 1, "no more than are followed")
	assert.Len(t, ls.known[1].Names, maxKeys)
}

// attaches are changes that attach a key to the lease, or not.
type attaches bool

func (a attaches) Attaches(int64, int64) bool { return bool(a) }

func TestWhyTheKeysOfALeaseWent(t *testing.T) {
	second := func(n int) time.Time { return time.Unix(int64(n), 0) }
	alive := Answer{ID: 1, At: second(1), TTL: 10, Remaining: 10} // until 11
	near := Answer{ID: 1, At: second(10), TTL: 10, Remaining: 1}  // the same
	over := Answer{ID: 1, At: second(11), TTL: 10, Remaining: -2}
	gone := func(at int) Answer { return Answer{ID: 1, At: second(at), By: second(at), Remaining: -1} }
	for name, tc := range map[string]struct {
		answers    []Answer
		keys, lost int
		withOthers bool
		later      bool
		reconciled bool
		at         int
		want       KeyCause
	}{
		"it was never queried":                  {keys: 1, lost: 1, at: 5, want: KeyUnknown},
		"it cannot have expired yet":            {answers: []Answer{alive}, keys: 1, lost: 1, at: 5, want: KeyDeleted},
		"it could have expired":                 {answers: []Answer{alive}, keys: 1, lost: 1, at: 12, want: KeyUnknown},
		"all its keys go at once":               {answers: []Answer{alive, near}, keys: 2, lost: 2, at: 12, want: KeyExpired},
		"it is gone after it could expire":      {answers: []Answer{alive, near, gone(12)}, keys: 1, lost: 1, at: 12, want: KeyExpired},
		"it was queried too late":               {answers: []Answer{alive, near, gone(14)}, keys: 1, lost: 1, at: 12, want: KeyUnknown},
		"it is gone before it could expire":     {answers: []Answer{alive, gone(5)}, keys: 1, lost: 1, at: 12, want: KeyDeleted},
		"it keeps a key":                        {answers: []Answer{alive, gone(12)}, keys: 2, lost: 1, at: 12, want: KeyDeleted},
		"something else changes at once":        {answers: []Answer{alive, gone(12)}, keys: 1, lost: 1, withOthers: true, at: 12, want: KeyDeleted},
		"it gets a key later":                   {answers: []Answer{alive, gone(12)}, keys: 1, lost: 1, later: true, at: 12, want: KeyDeleted},
		"the time of it is not known":           {answers: []Answer{alive, gone(12)}, keys: 1, lost: 1, reconciled: true, at: 12, want: KeyUnknown},
		"it may have been renewed, all at once": {answers: []Answer{alive}, keys: 2, lost: 2, at: 12, want: KeyUnknown},
		"it may have been renewed, and is gone": {answers: []Answer{alive, gone(12)}, keys: 1, lost: 1, at: 12, want: KeyUnknown},
		"it is gone long after it could expire": {answers: []Answer{near, gone(20)}, keys: 1, lost: 1, at: 20, want: KeyUnknown},
		"it is gone long after it expired":      {answers: []Answer{over, gone(40)}, keys: 1, lost: 1, at: 40, want: KeyExpired},
		"that it is gone is no cause by then":   {answers: []Answer{gone(4)}, keys: 1, lost: 1, at: 5, want: KeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			ls := New(10, true)
			a := ls.Under()
			for i := range tc.keys {
				a.Attach(1, string(rune('a'+i)), 1, true, When{Now: second(0)})
			}
			for _, answer := range tc.answers {
				ls.Answered(answer.At, []Answer{answer})
			}
			for _, l := range ls.known {
				l.alive = false // as answers of steps before
			}
			a.BeginRevision()
			for range tc.lost {
				a.Lose(1, true)
			}
			a.Classify(2, tc.withOthers, attaches(tc.later), When{Now: second(tc.at), Reconciled: tc.reconciled})
			assert.Equal(t, tc.want, a.Cause(1))
			assert.NoError(t, ls.Verify())
		})
	}
}
