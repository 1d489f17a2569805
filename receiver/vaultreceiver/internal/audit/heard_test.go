// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHeard(t *testing.T) {
	type look struct {
		at, came, done, oldest int64 // oldest is 0 when no half waits
		want                   int64
	}
	for name, looks := range map[string][]look{
		"what was sent before a look is told at the next one": {
			{at: 11, want: 10}, {at: 12, want: 11}, {at: 13, want: 12},
		},
		"what has come after a look is not waited for": {
			{at: 11, came: 5, done: 5, want: 10}, {at: 12, came: 9, done: 5, want: 10}, {at: 13, came: 20, done: 9, want: 11},
		},
		"a queue that is never empty does not hold it back": {
			{at: 11, came: 100, done: 50, want: 10}, {at: 12, came: 200, done: 150, want: 10},
			{at: 13, came: 300, done: 250, want: 10}, {at: 14, came: 400, done: 350, want: 12},
		},
		"a pipeline that takes nothing does": {
			{at: 11, came: 50, done: 0, want: 10}, {at: 300, came: 5000, done: 0, want: 10}, {at: 301, came: 5000, done: 5000, want: 10},
			{at: 302, came: 5000, done: 5000, want: 301},
		},
		"a half that waits does": {
			{at: 11, want: 10}, {at: 12, came: 1, done: 1, oldest: 11, want: 11}, {at: 20, came: 1, done: 1, oldest: 11, want: 11},
			{at: 21, came: 2, done: 2, want: 20},
		},
		"it never goes back, whatever time an entry has": {
			{at: 11, want: 10}, {at: 12, want: 11}, {at: 13, came: 1, done: 1, oldest: 1, want: 11}, {at: 14, came: 1, done: 1, want: 13},
		},
		"what came while the process did not run is read by the look after it": {
			{at: 11, want: 10}, {at: 31, came: 5, done: 5, want: 11}, {at: 32, came: 90, done: 5, want: 11}, {at: 33, came: 90, done: 90, want: 31},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHeard(time.Unix(10, 0))
			for i, l := range looks {
				var oldest time.Time
				if l.oldest > 0 {
					oldest = time.Unix(l.oldest, 0)
				}
				h.Look(time.Unix(l.at, 0), l.came, l.done, oldest)
				assert.Equal(t, l.want, h.Until().Unix(), "look %d", i)
				assert.Equal(t, l.at, h.Looked().Unix())
			}
		})
	}
}

func TestTheOldestHalfThatWaits(t *testing.T) {
	p := NewPairing(3, time.Minute)
	assert.True(t, p.Oldest().IsZero())
	take := func(id string, at int64, kind Kind) {
		p.Take(time.Unix(100, 0), &Entry{Kind: kind, ID: id, Time: time.Unix(at, 0)})
	}
	take("a", 20, Request)
	take("b", 10, Request) // came later, on another way
	take("c", 30, Request)
	assert.EqualValues(t, 10, p.Oldest().Unix())
	take("b", 40, Response)
	assert.EqualValues(t, 20, p.Oldest().Unix())
}
