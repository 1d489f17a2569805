// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package alarm

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// list is a list of alarms, that was read after a failure if gap is set.
type list struct {
	raised Set
	gap    bool
}

func raised(alarms ...Alarm) list {
	l := list{raised: Set{}}
	for _, a := range alarms {
		l.raised[a] = struct{}{}
	}
	return l
}

func afterGap(l list) list {
	l.gap = true
	return l
}

// follow steps a tracker once a second and describes every change.
func follow(t *Tracker, from int, lists ...list) (lines []string) {
	for i, l := range lists {
		for _, c := range t.Step(time.Unix(int64(from+i), 0), l.raised, l.gap) {
			line := map[bool]string{true: "raised", false: "cleared"}[c.Raised]
			line = fmt.Sprintf("%d: %s %s of %x", from+i, line, c.Type, c.Member)
			if c.Reconciled {
				line += " reconciled"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

var full, corrupt = Alarm{1, NoSpace}, Alarm{1 << 63, Corrupt}

func TestAlarms(t *testing.T) {
	for name, tc := range map[string]struct {
		lists []list
		want  []string
	}{
		"the baseline is not news":               {[]list{raised(full)}, nil},
		"a baseline after a failure is not news": {[]list{afterGap(raised(full))}, nil},
		"alarms are raised and cleared": {
			[]list{raised(), raised(corrupt, full), raised(corrupt), afterGap(raised())},
			[]string{
				"1: raised nospace of 1", "1: raised corrupt of 8000000000000000",
				"2: cleared nospace of 1", "3: cleared corrupt of 8000000000000000 reconciled",
			},
		},
		"those of one member are sorted": {
			[]list{raised(), raised(Alarm{2, Unknown}, Alarm{2, NoSpace})},
			[]string{"1: raised nospace of 2", "1: raised unknown of 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, follow(&Tracker{}, 0, tc.lists...))
		})
	}
}

func TestAlarmsAfterARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after []list
		want          []string
	}{
		"nothing to go on from is a baseline": {nil, []list{raised(full)}, nil},
		"what changed meanwhile is reconciled": {
			[]list{raised(corrupt)}, []list{raised(full), raised()},
			[]string{"10: raised nospace of 1 reconciled", "10: cleared corrupt of 8000000000000000 reconciled", "11: cleared nospace of 1"},
		},
		"that there was no alarm is remembered": {
			[]list{raised()}, []list{raised(full)},
			[]string{"10: raised nospace of 1 reconciled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after Tracker
			follow(&before, 0, tc.before...)
			saved := before.Save()
			encoded, err := json.Marshal(saved)
			require.NoError(t, err)
			var loaded []Alarm
			require.NoError(t, json.Unmarshal(encoded, &loaded))
			after.Restore(loaded)
			assert.Equal(t, saved, after.Save(), "it is kept until something is observed")
			assert.Equal(t, tc.want, follow(&after, 10, tc.after...))
		})
	}
}
