// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package compaction

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// follow steps a tracker and returns to which revisions history was compacted.
func follow(t *Tracker, oldest ...int64) (compacted []int64) {
	for i, revision := range oldest {
		if c := t.Step(time.Unix(int64(i), 0), revision); c != nil {
			compacted = append(compacted, c.Revision)
		}
	}
	return compacted
}

func TestCompactions(t *testing.T) {
	for name, tc := range map[string]struct{ oldest, want []int64 }{
		"the baseline is not news":          {[]int64{7}, nil},
		"history is compacted":              {[]int64{1, 1, 90}, []int64{90}},
		"an older history is no compaction": {[]int64{90, 3, 4}, []int64{4}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, follow(&Tracker{}, tc.oldest...))
		})
	}
}

func TestCompactionsAfterARestart(t *testing.T) {
	var before, after Tracker
	follow(&before, 3)
	after.Restore(before.Save())
	assert.EqualValues(t, 3, after.Save(), "it is kept until something is observed")
	assert.Equal(t, []int64{4}, follow(&after, 4))
}

// one is a member that follows a leader.
func one(term uint64, revision int64) []Member {
	return []Member{{Revision: revision, Term: term, Follows: true}}
}

func TestRevisions(t *testing.T) {
	alone := one(8, 40)
	alone[0].Follows = false
	for name, tc := range map[string]struct {
		rounds [][]Member
		want   int64
	}{
		"those before the first observation do not count": {[][]Member{one(2, 100), one(2, 100)}, 0},
		"they rise": {[][]Member{one(2, 100), one(2, 107), one(3, 110)}, 10},
		"the member that is furthest counts, also while it does not answer": {
			[][]Member{append(one(2, 100), one(2, 95)...), one(2, 99), one(2, 103)}, 3,
		},
		"a restored backup has an older history":          {[][]Member{one(9, 100), one(2, 40), one(2, 45)}, 5},
		"a member that is cut off is no restored backup":  {[][]Member{one(9, 100), alone, one(9, 101)}, 1},
		"nor is one that follows a leader of an old term": {[][]Member{one(9, 100), append(one(8, 40), Member{Revision: 90, Term: 9}), one(9, 101)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var h History
			for _, members := range tc.rounds {
				h.Step(members)
			}
			assert.Equal(t, tc.want, h.Made())
		})
	}
}

// Whatever is observed: the revisions that were made never fall.
func FuzzRevisionsRise(f *testing.F) {
	f.Add([]byte("\x01\x11\x21\x00\x31\x41"))
	f.Fuzz(func(t *testing.T, script []byte) {
		var h History
		made := int64(0)
		for _, step := range script {
			h.Step([]Member{{Revision: int64(step), Term: uint64(step >> 4 & 7), Follows: step&4 != 0}})
			if h.Made() < made {
				t.Fatal("revisions fell")
			}
			made = h.Made()
		}
	})
}
