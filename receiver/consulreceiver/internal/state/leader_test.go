// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (l Leaderless) describe(now time.Time) string {
	line := fmt.Sprintf("last %q", l.Last)
	if !l.End.IsZero() {
		line += fmt.Sprintf(" ended %s after %s", l.End.Sub(now), l.End.Sub(l.Start))
	}
	return line + words(map[string]bool{"before": l.BeganBefore, "reconciled": l.Reconciled})
}

// led steps a leader once a second and describes every effect. An address
// with a "?" before it was seen after a gap.
func led(l *Leader, from int, addresses ...string) (told []string) {
	for i, seen := range addresses {
		now := at(from + i)
		address, gap := strings.CutPrefix(seen, "?")
		for _, e := range l.Step(now, address, gap) {
			line := fmt.Sprintf("%d: ", from+i)
			switch e := e.(type) {
			case LeaderLost:
				line += "lost, " + e.describe(now)
			case LeaderElected:
				line += fmt.Sprintf("elected %q>%q after %s", e.Old, e.New, now.Sub(e.At)) + words(map[string]bool{"reconciled": e.Reconciled})
				if e.Ended != nil {
					line += ", " + e.Ended.describe(now)
				}
			}
			told = append(told, line)
		}
	}
	return told
}

func TestLeader(t *testing.T) {
	for name, tc := range map[string]struct {
		saw     []string
		want    []string
		changes int64
	}{
		"the baseline is not news": {
			[]string{"a", "a"}, nil, 0,
		},
		"a leader is lost and another one elected": {
			[]string{"a", "", "", "b", "b"},
			[]string{`1: lost, last "a"`, `3: elected "a">"b" after 0s, last "a" ended 0s after 2s`}, 1,
		},
		"a leader is lost and elected again": {
			[]string{"a", "", "a"},
			[]string{`1: lost, last "a"`, `2: elected "a">"a" after 0s, last "a" ended 0s after 1s`}, 1,
		},
		"a leader is replaced at once": {
			[]string{"a", "b", "a"},
			[]string{`1: elected "a">"b" after 0s`, `2: elected "b">"a" after 0s`}, 2,
		},
		"a baseline without a leader began before": {
			[]string{"", "", "a"},
			[]string{`2: elected "">"a" after 0s, last "" ended 0s after 2s before`}, 1,
		},
		"a leader that was lost behind a gap": {
			[]string{"a", "?", "b"},
			[]string{`1: lost, last "a" reconciled`, `2: elected "a">"b" after 0s, last "a" ended 0s after 1s reconciled`}, 1,
		},
		"a leader that was elected behind a gap": {
			[]string{"a", "", "?b"},
			[]string{`1: lost, last "a"`, `2: elected "a">"b" after 0s reconciled, last "a" ended 0s after 1s reconciled`}, 1,
		},
		"a leader that was replaced behind a gap": {
			[]string{"a", "?b"},
			[]string{`1: elected "a">"b" after 0s reconciled`}, 1,
		},
		"a gap that hid nothing": {
			[]string{"?a", "?a", "", "?", "a"},
			[]string{`2: lost, last "a"`, `4: elected "a">"a" after 0s, last "a" ended 0s after 2s`}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l Leader
			_, known := l.Known()
			assert.False(t, known)
			assert.Equal(t, tc.want, led(&l, 0, tc.saw...))
			has, known := l.Known()
			assert.True(t, known)
			assert.Equal(t, tc.saw[len(tc.saw)-1] != "", has)
			assert.Equal(t, tc.changes, l.Changes())
		})
	}
}

func TestALeaderAfterARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after []string
		want          []string
	}{
		"nothing to go on from is a baseline": {
			[]string{"a"}, []string{"b", "c"},
			[]string{`11: elected "b">"c" after 0s`},
		},
		"a time without a leader goes on with its true start": {
			[]string{"a", ""}, []string{"", "b"},
			[]string{`11: elected "a">"b" after 0s, last "a" ended 0s after 10s`},
		},
		"one that ended while away is reconciled": {
			[]string{"a", ""}, []string{"b", "b"},
			[]string{`10: elected "a">"b" after 0s reconciled, last "a" ended 0s after 9s reconciled`},
		},
		"one that began before goes on as such": {
			[]string{""}, []string{"", "b"},
			[]string{`11: elected "">"b" after 0s, last "" ended 0s after 11s before`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after Leader
			led(&before, 0, tc.before...)
			after.Restore(stored(t, before.Save()))
			assert.Equal(t, tc.want, led(&after, 10, tc.after...))
			require.Nil(t, after.Save())
		})
	}
}

func TestThatThereIsNoLeaderIsToldIfAsked(t *testing.T) {
	l := Leader{TellInitial: true}
	assert.Equal(t, []string{
		`0: lost, last "" before`,
		`2: elected "">"a" after 0s, last "" ended 0s after 2s before`,
	}, led(&l, 0, "", "", "a"))
}
