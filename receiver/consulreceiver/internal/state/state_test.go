// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var web = CheckID{Node: "n1", Check: "service:web"}

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// saw is a snapshot of the one check web; None leaves it out.
func saw(status Status, index uint64) Observation {
	checks := Checks{}
	if status != None {
		checks[web] = Check{Name: "web alive", Service: "web", ServiceID: "web-1", Status: status, Index: index}
	}
	return Observation{Checks: checks, Index: index}
}

func rebased(o Observation) Observation {
	o.Rebased = true
	return o
}

// course steps a machine once a second and describes every effect.
func course(observations ...Observation) []string {
	var m Machine
	var told []string
	for i, o := range observations {
		for _, e := range m.Step(at(i), o) {
			if e.Gap != nil {
				told = append(told, fmt.Sprintf("%d: gap %d-%d", i, e.Gap.Old, e.Gap.New))
				continue
			}
			line := fmt.Sprintf("%d: %s>%s", i, e.Transition.Old, e.Transition.New)
			if e.Transition.Reconciled {
				line += " reconciled"
			}
			if e.Opened {
				line += " opened"
			}
			if e.Closed {
				line += fmt.Sprintf(" closed %s worst %s", e.Outage.End.Sub(e.Outage.Start), e.Outage.Worst)
			}
			if e.Outage != nil && e.Outage.BeganBefore {
				line += " began before"
			}
			told = append(told, line)
		}
	}
	return told
}

func TestCourses(t *testing.T) {
	gap := saw(Critical, 2)
	gap.Gap = true
	for name, tc := range map[string]struct {
		saw  []Observation
		want []string
	}{
		"an outage is told when it opens and when it closes": {
			[]Observation{saw(Passing, 1), saw(Critical, 2), saw(Passing, 3)},
			[]string{"1: passing>critical opened", "2: critical>passing closed 1s worst critical"},
		},
		"the worst status is kept": {
			[]Observation{saw(Passing, 1), saw(Warning, 2), saw(Critical, 3), saw(Warning, 4), saw(Passing, 5)},
			[]string{"1: passing>warning opened", "2: warning>critical", "3: critical>warning", "4: warning>passing closed 3s worst critical"},
		},
		"the baseline is not news": {
			[]Observation{saw(Critical, 1), saw(Critical, 1)},
			nil,
		},
		"an outage of the baseline began before": {
			[]Observation{saw(Critical, 1), saw(Passing, 2)},
			[]string{"1: critical>passing closed 1s worst critical began before"},
		},
		"new output is not a transition": {
			[]Observation{saw(Passing, 1), saw(Passing, 2)},
			nil,
		},
		"a check that is registered as failing has not left passing": {
			[]Observation{saw(None, 0), saw(Critical, 1), saw(Passing, 2)},
			[]string{"1: none>critical", "2: critical>passing"},
		},
		"deregistration closes an outage": {
			[]Observation{saw(Passing, 1), saw(Critical, 2), saw(None, 0)},
			[]string{"1: passing>critical opened", "2: critical>none closed 1s worst critical"},
		},
		"what comes and goes with the view is no news": {
			[]Observation{saw(Passing, 1), saw(Critical, 2), rebased(saw(None, 0)), rebased(saw(Critical, 2)), saw(Passing, 3)},
			[]string{"1: passing>critical opened", "4: critical>passing closed 1s worst critical began before"},
		},
		"what a gap hid is reconciled": {
			[]Observation{saw(Passing, 1), gap},
			[]string{"1: gap 1-2", "1: passing>critical reconciled opened"},
		},
		"nothing was hid when the index is the same": {
			[]Observation{saw(Critical, 2), gap},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, course(tc.saw...))
		})
	}
}

func TestAnOutageRemembersABoundedCourse(t *testing.T) {
	var m Machine
	m.Step(at(0), saw(Passing, 0))
	for i := 1; i <= 100; i++ {
		m.Step(at(i), saw([]Status{Warning, Critical}[i%2], uint64(i)))
	}
	effects := m.Step(at(101), saw(Passing, 101))
	require.Len(t, effects, 1)
	assert.Len(t, effects[0].Outage.Transitions, maxTransitions)
	assert.Equal(t, 101-maxTransitions, effects[0].Outage.Dropped)
}

func TestEffectsAreInOrder(t *testing.T) {
	var m Machine
	before, after := Checks{}, Checks{}
	for i := range 50 {
		id := CheckID{Node: fmt.Sprint("n", i%5), Check: fmt.Sprint("c", i)}
		before[id], after[id] = Check{Status: Passing}, Check{Status: Critical}
	}
	m.Step(at(0), Observation{Checks: before})
	effects := m.Step(at(1), Observation{Checks: after})
	require.Len(t, effects, 50)
	assert.True(t, slices.IsSortedFunc(effects, func(a, b Effect) int { return a.Transition.ID.Compare(b.Transition.ID) }))
}

func TestCountByStatusAlwaysHasEveryStatus(t *testing.T) {
	assert.Equal(t, map[Status]int64{Passing: 0, Warning: 0, Critical: 1}, saw(Critical, 1).Checks.CountByStatus())
}

func FuzzEveryOutageClosesOnce(f *testing.F) {
	f.Add([]byte{0, 2, 0})
	f.Add([]byte{2, 0, 3, 0, 1, 2})
	f.Fuzz(func(t *testing.T, statuses []byte) {
		var m Machine
		open := false
		for i, s := range statuses {
			status := []Status{Passing, Warning, Critical, None}[s%4]
			for _, e := range m.Step(at(i), saw(status, uint64(i))) {
				if e.Opened && open {
					t.Fatal("opened twice")
				}
				if e.Closed && !open && !e.Outage.BeganBefore {
					t.Fatal("closed without being open")
				}
				if e.Opened {
					open = true
				}
				if e.Closed {
					open = false
				}
			}
			if len(m.open) > len(m.known) {
				t.Fatal("remembers an outage of a check that is gone")
			}
		}
	})
}
