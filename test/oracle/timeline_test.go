// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return begin.Add(time.Duration(seconds * float64(time.Second)))
}

// up and down alternate: a state and the second at which it begins.
func timeline(turns ...any) *Timeline {
	l := &Timeline{Object: "o", Keep: time.Second, Within: 5 * time.Second}
	for i := 0; i < len(turns); i += 2 {
		second := turns[i+1].(float64)
		l.Turns = append(l.Turns, Turn{State: turns[i].(string), From: at(second), Until: at(second + 0.1)})
	}
	return l
}

func report(before, after string, second float64) Report {
	return Report{Old: before, New: after, At: at(second)}
}

func reconciled(before, after string, second float64) Report {
	return Report{Old: before, New: after, At: at(second), Reconciled: true}
}

func TestTimelines(t *testing.T) {
	down := []Window{{From: at(10), Until: at(20), Why: "server killed"}}
	killed := []Window{{From: at(10), Until: at(20), Why: "collector killed", Silent: true}}
	truth := timeline("up", 1.0, "down", 5.0, "up", 30.0)
	for name, c := range map[string]struct {
		truth   *Timeline
		reports []Report
		windows []Window
		why     string
	}{
		"all is reported":                 {truth, []Report{report("", "up", 1), report("up", "down", 5.5), report("down", "up", 30.1)}, nil, ""},
		"nothing is reported":             {truth, nil, nil, "the last states were not reported"},
		"the first is missing":            {truth, []Report{report("up", "down", 5.5), report("down", "up", 30.1)}, nil, "report 1 is wrong: a state before it was not reported"},
		"the middle is missing":           {truth, []Report{report("", "up", 1), report("up", "up", 30.1)}, nil, "report 2 is wrong: a state before it was not reported"},
		"the last is missing":             {truth, []Report{report("", "up", 1), report("up", "down", 5.5)}, nil, "the last states were not reported"},
		"one too many":                    {truth, []Report{report("", "up", 1), report("up", "down", 5.5), report("down", "up", 30.1), report("up", "down", 31)}, nil, "report 4 is wrong: it is 25.9s later than the change"},
		"one twice":                       {truth, []Report{report("", "up", 1), report("up", "down", 5.5), report("up", "down", 5.5), report("down", "up", 30.1)}, nil, "report 3 is wrong: no such state then"},
		"a state that never was":          {truth, []Report{report("", "sideways", 1)}, nil, "report 1 is wrong: no such state then"},
		"another state before":            {truth, []Report{report("", "up", 1), report("sideways", "down", 5.5)}, nil, `report 2 is wrong: it was "up" before`},
		"too early":                       {truth, []Report{report("", "up", 0.5)}, nil, "report 1 is wrong: it is earlier than the change"},
		"too late":                        {truth, []Report{report("", "up", 1), report("up", "down", 11)}, nil, "report 2 is wrong: it is 5.9s later than the change"},
		"reconciled without a fault":      {truth, []Report{reconciled("", "up", 1)}, nil, "report 1 is wrong: it is reconciled without a fault"},
		"a short state is missing":        {timeline("up", 1.0, "down", 5.0, "up", 5.9), []Report{report("", "up", 1)}, nil, ""},
		"a short state is reported":       {timeline("up", 1.0, "down", 5.0, "up", 5.9), []Report{report("", "up", 1), report("up", "down", 5.1), report("down", "up", 6)}, nil, ""},
		"half of a short state":           {timeline("up", 1.0, "down", 5.0, "up", 5.9), []Report{report("", "up", 1), report("up", "down", 5.1)}, nil, "the last states were not reported"},
		"a state of a window is missing":  {timeline("up", 1.0, "down", 12.0, "up", 15.0), []Report{report("", "up", 1)}, down, ""},
		"a long state with a window":      {timeline("up", 1.0, "down", 5.0, "up", 15.0), []Report{report("", "up", 1)}, down, "the last states were not reported"},
		"what a window left":              {timeline("up", 1.0, "down", 12.0), []Report{report("", "up", 1), reconciled("up", "down", 20)}, down, ""},
		"what a window left, too late":    {timeline("up", 1.0, "down", 12.0), []Report{report("", "up", 1), reconciled("up", "down", 26)}, down, "report 2 is wrong: it is 13.9s later than the change"},
		"what a window left, unmarked":    {timeline("up", 1.0, "down", 12.0), []Report{report("", "up", 1), report("up", "down", 20)}, down, "report 2 is wrong: it is 7.9s later than the change"},
		"a restart changes without event": {timeline("up", 1.0, "down", 12.0, "up", 30.0), []Report{report("", "up", 1), report("down", "up", 30)}, killed, ""},
		"only in its window":              {timeline("up", 1.0, "down", 5.0, "up", 30.0), []Report{report("", "up", 1), report("down", "up", 30)}, killed, "report 2 is wrong: a state before it was not reported"},
		"and only over a restart":         {timeline("up", 1.0, "down", 12.0, "up", 30.0), []Report{report("", "up", 1), report("down", "up", 30)}, down, `report 2 is wrong: a state before it was not reported`},
	} {
		t.Run(name, func(t *testing.T) {
			why, _ := c.truth.Compare(c.reports, c.windows)
			assert.Equal(t, c.why, why)
		})
	}
}

func TestWhatTheServerChangedInAWindow(t *testing.T) {
	windows := []Window{{From: at(10), Until: at(20), Unsettled: true}}
	truth := timeline("up", 1.0, "down", 30.0)
	reports := []Report{report("", "up", 1), report("up", "down", 12), report("down", "up", 14), report("up", "down", 30)}
	why, at := truth.Compare(reports, windows)
	assert.Equal(t, "report 2 is wrong: it is earlier than the change", why)
	assert.Equal(t, 1, at)
	why, _ = truth.Compare(Settled(reports, windows))
	assert.Empty(t, why)
}

func TestWhatASnapshotBroughtBack(t *testing.T) {
	windows := []Window{{From: at(10), Until: at(20)}}
	truth := timeline("up", 1.0, "down", 10.0)
	truth.Turns[1].Restored = true
	why, _ := truth.Compare([]Report{report("", "up", 1), reconciled("up", "down", 12)}, windows)
	assert.Empty(t, why)
	why, _ = truth.Compare([]Report{report("", "up", 1), report("up", "down", 12)}, windows)
	assert.Equal(t, "report 2 is wrong: it is not reconciled, though the server went back to a snapshot", why)
}

func TestWhatIsRepeatedOverAKill(t *testing.T) {
	windows := []Window{{From: at(10), Until: at(20), Silent: true}}
	first, second := report("up", "down", 11), reconciled("up", "down", 19)
	for name, c := range map[string]struct {
		reports []Report
		windows []Window
		kept    int
	}{
		"repeated":              {[]Report{first, second}, windows, 1},
		"without a kill":        {[]Report{first, second}, []Window{{From: at(10), Until: at(20)}}, 2},
		"without the mark":      {[]Report{first, report("up", "down", 19)}, windows, 2},
		"long before the kill":  {[]Report{report("up", "down", 1), second}, windows, 2},
		"long after it":         {[]Report{first, reconciled("up", "down", 30)}, windows, 2},
		"another one than then": {[]Report{first, reconciled("down", "up", 19)}, windows, 2},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Len(t, Once(c.reports, c.windows), c.kept)
		})
	}
}

// A state of a service has to last for longer than that of a check of the same timeline.
func TestStatesThatMustLastLonger(t *testing.T) {
	truth := timeline("up", 1.0, "down", 5.0, "up", 7.0)
	reports := []Report{report("", "up", 1)}
	why, _ := truth.Compare(reports, nil)
	assert.NotEmpty(t, why)
	truth.Turns[1].Keep = 3 * time.Second
	why, _ = truth.Compare(reports, nil)
	assert.Empty(t, why)

	truth = timeline("up", 1.0, "down", 8.0)
	why, _ = truth.Compare(reports, []Window{{From: at(10), Until: at(20), Silent: true}})
	assert.NotEmpty(t, why)
	truth.Turns[1].Keep = 3 * time.Second
	why, _ = truth.Compare(reports, []Window{{From: at(10), Until: at(20), Silent: true}})
	assert.Empty(t, why)
}

func TestVisible(t *testing.T) {
	windows := []Window{{From: at(10), Until: at(20)}, {From: at(15), Until: at(30)}, {From: at(35), Until: at(36)}}
	for _, c := range []struct{ from, until, want float64 }{
		{0, 5, 5}, {0, 12, 10}, {12, 18, 0}, {12, 33, 3}, {12, 40, 5}, {34, 50, 14}, {0, 40, 10},
	} {
		assert.Equal(t, time.Duration(c.want*float64(time.Second)), max(0, visible(at(c.from), at(c.until), windows)), c)
	}
}
