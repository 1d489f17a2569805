// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leadership

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

func (l Leaderless[ID]) describe(now time.Time) string {
	line := fmt.Sprintf("last %q", any(l.Last))
	if !l.End.IsZero() {
		line += fmt.Sprintf(" ended %s after %s", l.End.Sub(now), l.End.Sub(l.Start))
	}
	return line + snapshottest.Words(map[string]bool{"before": l.BeganBefore, "reconciled": l.Reconciled})
}

// led steps a leader once a second and describes every change. An address
// with a "?" before it was observed after a gap.
func led(l *Tracker[string], from int, addresses ...string) (lines []string) {
	for i, observed := range addresses {
		now := snapshottest.At(from + i)
		address, gap := strings.CutPrefix(observed, "?")
		c := l.Step(now, address, gap)
		if c == nil {
			continue
		}
		line := fmt.Sprintf("%d: ", from+i)
		if c.Lost() {
			line += "lost, " + c.Leaderless.describe(now)
		} else {
			line += fmt.Sprintf("elected %q>%q after %s", c.Old, c.New, now.Sub(c.At)) + snapshottest.Words(map[string]bool{"reconciled": c.Reconciled})
			if c.Leaderless != nil {
				line += ", " + c.Leaderless.describe(now)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLeader(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []string
		want     []string
		changes  int64
	}{
		"the baseline is not reported": {
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
			var l Tracker[string]
			_, known := l.Known()
			assert.False(t, known)
			assert.Equal(t, tc.want, led(&l, 0, tc.observed...))
			has, known := l.Known()
			assert.True(t, known)
			assert.Equal(t, tc.observed[len(tc.observed)-1] != "", has)
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
			var before, after Tracker[string]
			led(&before, 0, tc.before...)
			after.Restore(snapshottest.Stored(t, before.Save()))
			assert.Equal(t, tc.want, led(&after, 10, tc.after...))
			require.Nil(t, after.Save())
		})
	}
}

func TestAMissingLeaderIsReportedAtFirstWithEmitInitial(t *testing.T) {
	l := Tracker[string]{EmitInitial: true}
	assert.Equal(t, []string{
		`0: lost, last "" before`,
		`2: elected "">"a" after 0s, last "" ended 0s after 2s before`,
	}, led(&l, 0, "", "", "a"))
}
