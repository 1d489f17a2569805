// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// id is the ID of the check that a short name means: n1/web is one of the
// service web on the node n1, n1/web#2 another one, and n1 the node's own.
func id(name string) CheckID {
	node, check, _ := strings.Cut(name, "/")
	return CheckID{Node: node, Check: check}
}

func (id CheckID) name() string { return strings.TrimSuffix(id.Node+"/"+id.Check, "/") }

func (i IncidentID) name() string {
	if i.Subject.Node {
		return "node " + i.Subject.Name
	}
	return i.Subject.Name
}

func check(name string, status Status, index uint64) Check {
	service, _, _ := strings.Cut(id(name).Check, "#")
	return Check{Name: name, Service: service, ServiceID: service, Status: status, Index: index}
}

// observed is a snapshot of checks, each as in "n1/web=critical@4"; without an @,
// the check was last changed at the index of the snapshot.
func observed(index uint64, checks ...string) snapshot.Observation[CheckID, Check] {
	observed := Checks{}
	for _, c := range checks {
		changed := index
		c, at, _ := strings.Cut(c, "@")
		_, _ = fmt.Sscan(at, &changed)
		name, status, _ := strings.Cut(c, "=")
		observed[id(name)] = check(name, Status(status), changed)
	}
	return snapshot.Observation[CheckID, Check]{Continuity: snapshot.Continuity{Index: index}, Objects: observed}
}

func (c Lifecycle) describe() (line string) {
	if !c.End.IsZero() {
		line = fmt.Sprintf(" closed %s worst %s", c.End.Sub(c.Start), c.Worst)
		if c.Reconciled {
			line += " at most"
		}
	}
	if c.BeganBefore {
		line += " began before"
	}
	return line
}

func describeHealth(e Effect) string {
	switch e := e.(type) {
	case Opened:
		return "incident " + e.Incident.ID.name() + " opened" + e.Incident.describe()
	case Closed:
		return "incident " + e.Incident.ID.name() + e.Incident.describe()
	case Transitioned:
		line := fmt.Sprintf("%s %s>%s", e.ID.name(), e.Old, e.New) + snapshottest.Words(map[string]bool{
			"initial": e.Initial, "opened": e.Opened, "reconciled": e.Reconciled, "(closed)": e.Closed && e.Outage.End.IsZero(),
		})
		if e.Outage == nil {
			return line + " no outage"
		}
		line += e.Outage.describe()
		var affected []string
		for _, i := range e.Outage.Affects {
			affected = append(affected, i.name())
		}
		if len(affected) > 0 {
			line += " affects " + strings.Join(affected, ", ")
		}
		return line
	default:
		return fmt.Sprintf("%T", e)
	}
}

// course steps once a second and describes every effect.
func course(h *Health, from int, observations ...snapshot.Observation[CheckID, Check]) (lines []string) {
	for i, o := range observations {
		gap, effects := h.Step(snapshottest.At(from+i), o)
		lines = append(lines, snapshottest.DescribeGap(from+i, gap)...)
		for _, e := range effects {
			lines = append(lines, fmt.Sprintf("%d: %s", from+i, describeHealth(e)))
		}
	}
	return lines
}

type observations []snapshot.Observation[CheckID, Check]

func TestCourses(t *testing.T) {
	for name, tc := range map[string]struct {
		saw  observations
		want []string
	}{
		"an outage is reported when it opens and when it closes": {
			observations{observed(1, "n1/web=passing"), observed(2, "n1/web=critical"), observed(3, "n1/web=passing")},
			[]string{
				"1: incident web opened", "1: n1/web passing>critical opened",
				"2: n1/web critical>passing closed 1s worst critical", "2: incident web closed 1s worst critical",
			},
		},
		"the worst status is kept": {
			observations{observed(1, "n1/web=passing"), observed(2, "n1/web=warning"), observed(3, "n1/web=critical"), observed(4, "n1/web=warning"), observed(5, "n1/web=passing")},
			[]string{
				"1: incident web opened", "1: n1/web passing>warning opened",
				"2: n1/web warning>critical",
				"3: n1/web critical>warning",
				"4: n1/web warning>passing closed 3s worst critical", "4: incident web closed 3s worst critical",
			},
		},
		"the baseline is not news": {
			observations{observed(1, "n1/web=critical"), observed(1, "n1/web=critical")},
			nil,
		},
		"an outage of the baseline began before": {
			observations{observed(1, "n1/web=critical"), observed(2, "n1/web=passing")},
			[]string{"1: n1/web critical>passing closed 1s worst critical began before", "1: incident web closed 1s worst critical began before"},
		},
		"new output is not a transition": {
			observations{observed(1, "n1/web=passing"), observed(2, "n1/web=passing"), observed(3, "n1/web=critical"), observed(4, "n1/web=critical")},
			[]string{"2: incident web opened", "2: n1/web passing>critical opened"},
		},
		"a check that is registered as passing is a transition": {
			observations{observed(1), observed(2, "n1/web=passing"), observed(3)},
			[]string{"1: n1/web none>passing no outage", "2: n1/web passing>none no outage"},
		},
		"a check that is registered as failing has not left passing": {
			observations{observed(1), observed(2, "n1/web=critical"), observed(3, "n1/web=warning"), observed(4, "n1/web=passing")},
			[]string{"1: n1/web none>critical no outage", "2: n1/web critical>warning no outage", "3: n1/web warning>passing no outage"},
		},
		"a check that is registered as failing leaves passing later": {
			observations{observed(1), observed(2, "n1/web=critical"), observed(3, "n1/web=passing"), observed(4, "n1/web=critical")},
			[]string{"1: n1/web none>critical no outage", "2: n1/web critical>passing no outage",
				"3: incident web opened", "3: n1/web passing>critical opened"},
		},
		"a check that is registered as failing joins the open incident of its service": {
			observations{
				observed(1, "n1/web=passing"), observed(2, "n1/web=critical"), observed(3, "n1/web=critical@2", "n2/web=warning", "n2/db=critical", "n2=critical"),
				observed(4, "n1/web=passing", "n2/web=warning@3"), observed(5, "n1/web=passing@4", "n2/web=passing"),
			},
			[]string{
				"1: incident web opened", "1: n1/web passing>critical opened",
				"2: n2 none>critical no outage", "2: n2/db none>critical no outage", "2: n2/web none>warning opened",
				"3: n1/web critical>passing closed 2s worst critical", "3: n2 critical>none no outage", "3: n2/db critical>none no outage",
				"4: n2/web warning>passing closed 2s worst warning", "4: incident web closed 3s worst critical",
			},
		},
		"a check that was registered as failing before the incident does not join it later": {
			observations{
				observed(1, "n1/web=passing"), observed(2, "n1/web=passing", "n2/web=warning"), observed(3, "n1/web=critical", "n2/web=warning"),
				observed(4, "n1/web=critical", "n2/web=critical"), observed(5, "n1/web=passing", "n2/web=critical"),
			},
			[]string{
				"1: n2/web none>warning no outage",
				"2: incident web opened", "2: n1/web passing>critical opened",
				"3: n2/web warning>critical no outage",
				"4: n1/web critical>passing closed 2s worst critical", "4: incident web closed 2s worst critical",
			},
		},
		"deregistration closes an outage": {
			observations{observed(1, "n1/web=passing"), observed(2, "n1/web=critical"), observed(3)},
			[]string{
				"1: incident web opened", "1: n1/web passing>critical opened",
				"2: n1/web critical>none closed 1s worst critical", "2: incident web closed 1s worst critical",
			},
		},
		"an incident lasts from the first check that fails until all pass": {
			observations{
				observed(1, "n1/web=passing", "n2/web=passing"), observed(2, "n1/web=warning", "n2/web=passing"), observed(3, "n1/web=warning", "n2/web=critical"),
				observed(4, "n1/web=passing", "n2/web=critical"), observed(5, "n1/web=passing", "n2/web=passing"),
			},
			[]string{
				"1: incident web opened", "1: n1/web passing>warning opened",
				"2: n2/web passing>critical opened",
				"3: n1/web warning>passing closed 2s worst warning",
				"4: n2/web critical>passing closed 2s worst critical", "4: incident web closed 3s worst critical",
			},
		},
		"services have incidents of their own": {
			observations{observed(1, "n1/db=passing", "n1/web=passing"), observed(2, "n1/db=critical", "n1/web=warning"), observed(3, "n1/db=critical", "n1/web=passing")},
			[]string{
				"1: incident db opened", "1: n1/db passing>critical opened", "1: incident web opened", "1: n1/web passing>warning opened",
				"2: n1/web warning>passing closed 1s worst warning", "2: incident web closed 1s worst warning",
			},
		},
		"one check passes as another one fails: in the order of the checks, that is one incident or two": {
			observations{
				observed(1, "n1/web=critical", "n2/web=passing"), observed(2, "n1/web=passing", "n2/web=critical"), observed(3, "n1/web=critical", "n2/web=passing"),
			},
			[]string{
				"1: n1/web critical>passing closed 1s worst critical began before", "1: incident web closed 1s worst critical began before",
				"1: incident web opened", "1: n2/web passing>critical opened",
				"2: n1/web passing>critical opened", "2: n2/web critical>passing closed 1s worst critical",
			},
		},
		"a check of a node fails for every service on it": {
			observations{
				observed(1, "n1=passing", "n1/db=passing", "n1/web=passing", "n1/web#2=passing", "n2=passing", "n2/api=passing"),
				observed(2, "n1=critical", "n1/db=passing", "n1/web=passing", "n1/web#2=passing", "n2=passing", "n2/api=passing"),
				observed(3, "n1=critical", "n1/db=passing", "n1/web=warning", "n1/web#2=passing", "n2=passing", "n2/api=passing"),
				observed(4, "n1=passing", "n1/db=passing", "n1/web=warning", "n1/web#2=passing", "n2=passing", "n2/api=passing"),
				observed(5, "n1=passing", "n1/db=passing", "n1/web=passing", "n1/web#2=passing", "n2=passing", "n2/api=passing"),
			},
			[]string{
				"1: incident node n1 opened", "1: incident db opened", "1: incident web opened", "1: n1 passing>critical opened affects db, web",
				"2: n1/web passing>warning opened",
				"3: n1 critical>passing closed 2s worst critical affects db, web",
				"3: incident node n1 closed 2s worst critical", "3: incident db closed 2s worst critical",
				"4: n1/web warning>passing closed 2s worst warning", "4: incident web closed 3s worst critical",
			},
		},
		"a check of a node joins the incident of a service on it": {
			observations{observed(1, "n1=passing", "n1/web=passing"), observed(2, "n1=passing", "n1/web=warning"), observed(3, "n1=critical", "n1/web=warning"), observed(4)},
			[]string{
				"1: incident web opened", "1: n1/web passing>warning opened",
				"2: incident node n1 opened", "2: n1 passing>critical opened affects web",
				"3: n1 critical>none closed 1s worst critical affects web", "3: incident node n1 closed 1s worst critical",
				"3: n1/web warning>none closed 2s worst warning", "3: incident web closed 2s worst critical",
			},
		},
		"two checks of one node are one incident": {
			observations{
				observed(1, "n1=passing", "n1/#disk=passing"), observed(2, "n1=critical", "n1/#disk=warning"), observed(3, "n1=passing", "n1/#disk=warning"), observed(4, "n1=passing", "n1/#disk=passing"),
			},
			[]string{
				"1: incident node n1 opened", "1: n1 passing>critical opened", "1: n1/#disk passing>warning opened",
				"2: n1 critical>passing closed 1s worst critical",
				"3: n1/#disk warning>passing closed 2s worst warning", "3: incident node n1 closed 2s worst critical",
			},
		},
		"a service that is registered while the node fails is not affected": {
			observations{observed(1, "n1=passing"), observed(2, "n1=critical"), observed(3, "n1=critical", "n1/web=passing"), observed(4, "n1=passing", "n1/web=passing")},
			[]string{
				"1: incident node n1 opened", "1: n1 passing>critical opened",
				"2: n1/web none>passing no outage",
				"3: n1 critical>passing closed 2s worst critical", "3: incident node n1 closed 2s worst critical",
			},
		},
		"what comes and goes with the view is no news": {
			observations{
				observed(1, "n1/web=passing"), observed(2, "n1/web=critical"), snapshottest.Rebased(observed(2)), snapshottest.Rebased(observed(2, "n1/web=critical", "n2/web=passing")), observed(3, "n1/web=passing", "n2/web=passing"), snapshottest.Rebased(observed(3, "n1/web=passing")),
			},
			[]string{
				"1: incident web opened", "1: n1/web passing>critical opened",
				"4: n1/web critical>passing closed 1s worst critical began before", "4: incident web closed 1s worst critical began before",
			},
		},
		"what changes as the view does is news": {
			observations{observed(1, "n1/web=passing"), snapshottest.Rebased(observed(2, "n1/web=critical"))},
			[]string{"1: incident web opened", "1: n1/web passing>critical opened"},
		},
		"an incident goes on without the check that went with the view": {
			observations{
				observed(1, "n1/web=passing", "n2/web=passing"), observed(2, "n1/web=critical", "n2/web=warning"), snapshottest.Rebased(observed(2, "n2/web=warning")), observed(3, "n2/web=passing"),
			},
			[]string{
				"1: incident web opened", "1: n1/web passing>critical opened", "1: n2/web passing>warning opened",
				"3: n2/web warning>passing closed 2s worst warning", "3: incident web closed 2s worst critical",
			},
		},
		"what a gap hid is reconciled": {
			observations{observed(1, "n1/web=passing"), snapshottest.AfterGap(observed(4, "n1/web=critical")), observed(5, "n1/web=passing")},
			[]string{
				"1: gap 1-4", "1: incident web opened", "1: n1/web passing>critical opened reconciled",
				"2: n1/web critical>passing closed 1s worst critical at most", "2: incident web closed 1s worst critical at most",
			},
		},
		"an end that a gap hid is reconciled": {
			observations{observed(1, "n1/web=passing"), observed(2, "n1/web=critical"), snapshottest.AfterGap(observed(4, "n1/web=passing"))},
			[]string{
				"1: incident web opened", "1: n1/web passing>critical opened",
				"2: gap 2-4", "2: n1/web critical>passing reconciled closed 1s worst critical at most", "2: incident web closed 1s worst critical at most",
			},
		},
		"a transition in the middle that a gap hid leaves start and end known": {
			observations{observed(1, "n1/web=passing"), observed(2, "n1/web=warning"), snapshottest.AfterGap(observed(4, "n1/web=critical")), observed(5, "n1/web=passing")},
			[]string{
				"1: incident web opened", "1: n1/web passing>warning opened",
				"2: gap 2-4", "2: n1/web warning>critical reconciled",
				"3: n1/web critical>passing closed 2s worst critical", "3: incident web closed 2s worst critical",
			},
		},
		"nothing was hid when the index is the same": {
			observations{observed(2, "n1/web=critical"), snapshottest.AfterGap(observed(2, "n1/web=critical"))},
			nil,
		},
		"Consul went back to a snapshot": {
			observations{observed(5, "n1/web=critical"), snapshottest.AfterGap(observed(2, "n1/web=passing"))},
			[]string{
				"1: gap 5-2", "1: n1/web critical>passing reconciled closed 1s worst critical at most began before",
				"1: incident web closed 1s worst critical at most began before",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, course(&Health{}, 0, tc.saw...))
		})
	}
}

func TestTheBaselineIsNewsIfItIsAskedFor(t *testing.T) {
	h := Health{EmitInitial: true, MaxServices: 10}
	assert.Equal(t, []string{
		"0: incident node n1 opened began before", "0: incident web opened began before",
		"0: n1 none>critical initial opened began before affects web",
		"0: n1/web none>passing initial no outage",
		"1: n1/db none>passing no outage",
		"3: n1 critical>passing closed 3s worst critical began before affects web",
		"3: incident node n1 closed 3s worst critical began before", "3: incident web closed 3s worst critical began before",
	}, course(&h, 0,
		observed(1, "n1=critical", "n1/web=passing"),
		observed(2, "n1=critical", "n1/web=passing", "n1/db=passing"),
		snapshottest.Rebased(observed(2, "n1=critical", "n1/web=passing", "n1/db=passing", "n1/more=warning")),
		observed(3, "n1=passing", "n1/web=passing", "n1/db=passing", "n1/more=warning"),
	))
	assert.Equal(t, map[Counted]int64{{"db", Passing}: 1, {"", Passing}: 1}, h.Transitions(), "what was there before did not happen")
}

// pick returns the effects of one type.
func pick[E Effect](effects []Effect) (picked []E) {
	for _, e := range effects {
		if e, is := e.(E); is {
			picked = append(picked, e)
		}
	}
	return picked
}

func TestAnOutageOfANodeAndTheIncidentsOfItsServicesAreLinkedBothWays(t *testing.T) {
	var h Health
	h.Step(snapshottest.At(0), observed(1, "n1=passing", "n1/db=passing", "n1/web=passing"))
	h.Step(snapshottest.At(1), observed(2, "n1=passing", "n1/db=passing", "n1/web=critical"))
	_, effects := h.Step(snapshottest.At(2), observed(3, "n1=critical", "n1/db=passing", "n1/web=critical@2"))

	node := IncidentID{Subject: Subject{Name: "n1", Node: true}, First: id("n1"), Index: 3}
	db := IncidentID{Subject: Subject{Name: "db"}, First: id("n1"), Index: 3}
	web := IncidentID{Subject: Subject{Name: "web"}, First: id("n1/web"), Index: 2}
	cause := OutageID{Check: id("n1"), Index: 3, Incident: node}

	opened := pick[Opened](effects)
	require.Len(t, opened, 2)
	assert.Equal(t, node, opened[0].Incident.ID)
	assert.Empty(t, opened[0].Incident.Causes)
	assert.Equal(t, db, opened[1].Incident.ID)
	assert.Equal(t, []OutageID{cause}, opened[1].Incident.Causes)
	for _, o := range opened {
		assert.Len(t, o.Incident.Transitions, 1, "it is reported with the transition that began it")
	}
	transitioned := pick[Transitioned](effects)
	require.Len(t, transitioned, 1)
	assert.Equal(t, cause, transitioned[0].Outage.ID)
	assert.Equal(t, []IncidentID{db, web}, transitioned[0].Outage.Affects)

	_, effects = h.Step(snapshottest.At(3), observed(4, "n1=passing", "n1/db=passing", "n1/web=passing"))
	var causes []OutageID
	for _, c := range pick[Closed](effects) {
		causes = append(causes, c.Incident.Causes...)
		if c.Incident.ID == web {
			assert.Equal(t, []Transition{
				{ID: id("n1/web"), Check: check("n1/web", Critical, 2), Old: Passing, New: Critical, At: snapshottest.At(1)},
				{ID: id("n1"), Check: check("n1", Critical, 3), Old: Passing, New: Critical, At: snapshottest.At(2)},
				{ID: id("n1"), Check: check("n1", Passing, 4), Old: Critical, New: Passing, At: snapshottest.At(3)},
				{ID: id("n1/web"), Check: check("n1/web", Passing, 4), Old: Critical, New: Passing, At: snapshottest.At(3)},
			}, c.Incident.Transitions)
		}
	}
	assert.Equal(t, []OutageID{cause, cause}, causes, "of db and web")
	assert.Zero(t, h.Save().Outages)
	assert.Zero(t, h.Save().Incidents)
}

func TestWhatWasToldStaysAsItWas(t *testing.T) {
	var h Health
	h.Step(snapshottest.At(0), observed(1, "n1=passing", "n1/web=passing"))
	_, effects := h.Step(snapshottest.At(1), observed(2, "n1=passing", "n1/web=warning"))
	saved := h.Save()
	h.Step(snapshottest.At(2), observed(3, "n1=critical", "n1/web=critical"))
	opened, transitioned := pick[Opened](effects)[0], pick[Transitioned](effects)[0]
	assert.Equal(t, Warning, transitioned.Outage.Worst)
	assert.Len(t, transitioned.Outage.Transitions, 1)
	assert.Len(t, opened.Incident.Transitions, 1)
	assert.Empty(t, opened.Incident.Causes)
	assert.Len(t, saved.Outages[0].Transitions, 1)
	assert.Len(t, saved.Incidents[0].Transitions, 1)
	assert.Empty(t, saved.Incidents[0].Causes)
}

func TestACourseIsRememberedToABound(t *testing.T) {
	var h Health
	h.Step(snapshottest.At(0), observed(0, "n1/web=passing"))
	for i := 1; i <= 100; i++ {
		h.Step(snapshottest.At(i), observed(uint64(i), "n1/web="+string([]Status{Warning, Critical}[i%2])))
	}
	_, effects := h.Step(snapshottest.At(101), observed(101, "n1/web=passing"))
	require.Len(t, effects, 2)
	for _, c := range []Lifecycle{effects[0].(Transitioned).Outage.Lifecycle, effects[1].(Closed).Incident.Lifecycle} {
		assert.Len(t, c.Transitions, maxTransitions)
		assert.Equal(t, 101-maxTransitions, c.Dropped)
		assert.Equal(t, snapshottest.At(64), c.Transitions[maxTransitions-1].At, "the first ones are kept")
		assert.Equal(t, Passing, c.Status)
	}
}

func TestAnOutageOfANodeIsLinkedToABoundedNumberOfServices(t *testing.T) {
	const services = 200
	before, failing := []string{"n1=passing"}, []string{"n1=critical"}
	for i := range services {
		one := fmt.Sprintf("n1/s%03d=passing", i)
		before, failing = append(before, one), append(failing, one)
	}
	var h Health
	h.Step(snapshottest.At(0), observed(1, before...))
	_, effects := h.Step(snapshottest.At(1), observed(2, failing...))
	assert.Len(t, pick[Opened](effects), 1+maxAffected)
	outage := pick[Transitioned](effects)[0].Outage
	require.Len(t, outage.Affects, maxAffected)
	assert.Equal(t, services-maxAffected, outage.Unlinked)
	assert.Equal(t, "s000", outage.Affects[0].Subject.Name)
	assert.Equal(t, "s127", outage.Affects[maxAffected-1].Subject.Name)
	_, effects = h.Step(snapshottest.At(2), observed(3, before...))
	assert.Len(t, pick[Closed](effects), 1+maxAffected)
}

func TestAnIncidentIsLinkedToABoundedNumberOfCauses(t *testing.T) {
	const nodes = 200
	var before, failing []string
	for i := range nodes {
		node := fmt.Sprintf("n%03d", i)
		before = append(before, node+"=passing", node+"/web=passing")
		failing = append(failing, node+"=critical", node+"/web=passing")
	}
	var h Health
	h.Step(snapshottest.At(0), observed(1, before...))
	h.Step(snapshottest.At(1), observed(2, failing...))
	_, effects := h.Step(snapshottest.At(2), observed(3, before...))
	closed := pick[Closed](effects)
	require.Len(t, closed, nodes+1)
	web := closed[nodes].Incident
	assert.Equal(t, "web", web.ID.name())
	assert.Len(t, web.Causes, maxAffected)
	assert.Equal(t, nodes-maxAffected, web.Unlinked)
}

func TestTransitionsAreCountedOfABoundedNumberOfServices(t *testing.T) {
	h := Health{MaxServices: 2}
	assert.Nil(t, h.Transitions())
	h.Step(snapshottest.At(0), observed(1, "n1/a=passing", "n1/b=passing", "n1/c=passing", "n1/d=critical"))
	h.Step(snapshottest.At(1), observed(2, "n1/a=critical", "n1/b=passing", "n1/c=passing", "n1/d=critical"))
	h.Step(snapshottest.At(2), observed(3, "n1/a=passing", "n1/b=warning", "n1/c=warning", "n1/d=passing"))
	h.Step(snapshottest.At(3), observed(4, "n1/a=critical", "n1/c=warning"))
	assert.Equal(t, map[Counted]int64{
		{"a", Critical}: 2, {"a", Passing}: 1, {"b", Warning}: 1,
		{Other, Warning}: 1, {Other, Passing}: 1,
	}, h.Transitions())
	maps.DeleteFunc(h.Transitions(), func(Counted, int64) bool { return true })
	assert.NotEmpty(t, h.Transitions(), "the caller's map is its own")
}

func TestEffectsAreInTheOrderOfTheChecks(t *testing.T) {
	var before, after []string
	for i := range 50 {
		name := fmt.Sprintf("n%d/s%d#%d", i%5, i%3, i)
		before, after = append(before, name+"=passing"), append(after, name+"=critical")
	}
	var h Health
	h.Step(snapshottest.At(0), observed(1, before...))
	_, effects := h.Step(snapshottest.At(1), observed(2, after...))
	transitioned := pick[Transitioned](effects)
	require.Len(t, transitioned, 50)
	assert.True(t, slices.IsSortedFunc(transitioned, func(a, b Transitioned) int { return a.ID.Compare(b.ID) }))
	for i, e := range effects {
		if e, is := e.(Opened); is {
			assert.Equal(t, e.Incident.ID.First, effects[i+1].(Transitioned).ID, "an incident is reported before the transition that began it")
		}
	}
}

func TestCountByStatusAlwaysHasEveryStatus(t *testing.T) {
	assert.Equal(t, map[Status]int64{Passing: 0, Warning: 0, Critical: 1, Maintenance: 0, Unknown: 0}, CountByStatus(observed(1, "n1/web=critical").Objects))
}

func TestTheChecksAreThoseLastSeen(t *testing.T) {
	var h Health
	last := observed(2, "n2/web=critical")
	course(&h, 0, observed(1, "n1/web=passing"), last)
	assert.Equal(t, last.Objects, h.Checks())
}

// restarted is what a new process makes of what the old one saved.
func restarted(t *testing.T, old *Health) *Health {
	t.Helper()
	h := &Health{EmitInitial: old.EmitInitial}
	saved := snapshottest.Stored(t, old.Save())
	require.Equal(t, old.Save(), saved)
	h.Restore(saved)
	require.Equal(t, saved, h.Save(), "what is restored can be saved before it is observed")
	return h
}

func TestHealthAfterARestart(t *testing.T) {
	passing := observed(1, "n1=passing", "n1/web=passing")
	for name, tc := range map[string]struct {
		before, after observations // of which the second begins after 10s
		want          []string
	}{
		"an outage goes on with its true start": {
			observations{passing, observed(2, "n1=passing", "n1/web=critical")},
			observations{observed(2, "n1=passing", "n1/web=critical"), observed(3, "n1=passing", "n1/web=passing")},
			[]string{"11: n1/web critical>passing closed 10s worst critical", "11: incident web closed 10s worst critical"},
		},
		"an outage that goes on behind a gap keeps its true start": {
			observations{passing, observed(2, "n1=passing", "n1/web=critical")},
			observations{observed(7, "n1=passing", "n1/web=critical@2"), observed(8, "n1=passing", "n1/web=passing")},
			[]string{"10: gap 2-7", "11: n1/web critical>passing closed 10s worst critical", "11: incident web closed 10s worst critical"},
		},
		"an outage of a node goes on with its links": {
			observations{passing, observed(2, "n1=critical", "n1/web=passing")},
			observations{observed(2, "n1=critical", "n1/web=passing"), observed(3, "n1=passing", "n1/web=warning"), observed(4)},
			[]string{
				"11: n1 critical>passing closed 10s worst critical affects web", "11: incident node n1 closed 10s worst critical", "11: incident web closed 10s worst critical",
				"11: incident web opened", "11: n1/web passing>warning opened",
				"12: n1 passing>none no outage", "12: n1/web warning>none closed 1s worst warning", "12: incident web closed 1s worst warning",
			},
		},
		"an incident goes on until all of its checks pass": {
			observations{passing, observed(2, "n1=warning", "n1/web=passing"), observed(3, "n1=warning", "n1/web=critical")},
			observations{observed(4, "n1=passing", "n1/web=critical"), observed(5, "n1=passing", "n1/web=passing")},
			[]string{
				"10: gap 3-4",
				"10: n1 warning>passing reconciled closed 9s worst warning at most affects web", "10: incident node n1 closed 9s worst warning at most",
				"11: n1/web critical>passing closed 9s worst critical", "11: incident web closed 10s worst critical",
			},
		},
		"an outage that ended while away is reconciled": {
			observations{passing, observed(2, "n1=passing", "n1/web=critical")},
			observations{observed(7, "n1=passing", "n1/web=passing")},
			[]string{
				"10: gap 2-7", "10: n1/web critical>passing reconciled closed 9s worst critical at most", "10: incident web closed 9s worst critical at most",
			},
		},
		"an outage that got worse while away": {
			observations{passing, observed(2, "n1=passing", "n1/web=warning")},
			observations{observed(7, "n1=passing", "n1/web=critical"), observed(8, "n1=passing", "n1/web=passing")},
			[]string{
				"10: gap 2-7", "10: n1/web warning>critical reconciled",
				"11: n1/web critical>passing closed 10s worst critical", "11: incident web closed 10s worst critical",
			},
		},
		"a check that vanished while away": {
			observations{passing, observed(2, "n1=passing", "n1/web=critical")},
			observations{observed(7, "n1=passing")},
			[]string{
				"10: gap 2-7", "10: n1/web critical>none reconciled closed 9s worst critical at most", "10: incident web closed 9s worst critical at most",
			},
		},
		"a failing check that was not saved began before": {
			observations{passing},
			observations{observed(7, "n1=passing", "n1/web=critical"), observed(8, "n1=passing", "n1/web=passing")},
			[]string{
				"10: gap 1-7",
				"11: n1/web critical>passing closed 1s worst critical at most began before", "11: incident web closed 1s worst critical at most began before",
			},
		},
		"a failing check that was not saved joins what was": {
			observations{passing, observed(2, "n1=passing", "n1/web=critical")},
			observations{observed(7, "n1=passing", "n1/web=critical@2", "n2/web=warning"), observed(8, "n1=passing", "n1/web=passing", "n2/web=warning@7"), observed(9)},
			[]string{
				"10: gap 2-7",
				"11: n1/web critical>passing closed 10s worst critical",
				"12: n1 passing>none no outage", "12: n1/web passing>none no outage",
				"12: n2/web warning>none closed 2s worst warning at most began before", "12: incident web closed 11s worst critical",
			},
		},
		"what was reconciled stays so": {
			observations{passing, snapshottest.AfterGap(observed(3, "n1=passing", "n1/web=critical"))},
			observations{observed(3, "n1=passing", "n1/web=critical"), observed(4, "n1=passing", "n1/web=passing")},
			[]string{"11: n1/web critical>passing closed 10s worst critical at most", "11: incident web closed 10s worst critical at most"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var old Health
			course(&old, 0, tc.before...)
			h := restarted(t, &old)
			assert.Equal(t, tc.want, course(h, 10, tc.after...))
			assert.Empty(t, h.Save().Outages)
			assert.Empty(t, h.Save().Incidents)
		})
	}
}

func TestAfterARestartOnlyWhatWasNotKnownIsInitial(t *testing.T) {
	old := Health{EmitInitial: true}
	course(&old, 0, observed(1, "n1/web=passing", "n2/web=passing"), observed(2, "n1/web=critical", "n2/web=passing"))
	assert.Equal(t, []string{"10: n2/web none>passing initial no outage"},
		course(restarted(t, &old), 10, observed(2, "n1/web=critical", "n2/web=passing")))
}

func TestASavedStateThatDoesNotFitTogetherIsLeftOut(t *testing.T) {
	var old Health
	course(&old, 0, observed(1, "n1=passing", "n1/web=passing", "n2/db=passing"), observed(2, "n1=critical", "n1/web=critical", "n2/db=warning"))
	without := func(i Incident, name string) bool { return i.ID.name() == name }
	for name, tc := range map[string]struct {
		spoil func(*SavedIncidents)
		want  []string // outages and incidents that are left
	}{
		"nothing was spoilt": {
			func(*SavedIncidents) {},
			[]string{"n1", "n1/web", "n2/db", "node n1", "db", "web"},
		},
		"nothing is left": {
			func(t *SavedIncidents) { *t = SavedIncidents{} }, nil,
		},
		"no incidents": {
			func(t *SavedIncidents) { t.Incidents = nil }, nil,
		},
		"no outages": {
			func(t *SavedIncidents) { t.Outages = nil }, nil,
		},
		"an outage without its incident": {
			func(t *SavedIncidents) {
				t.Incidents = slices.DeleteFunc(t.Incidents, func(i Incident) bool { return without(i, "db") })
			},
			[]string{"n1", "n1/web", "node n1", "web"},
		},
		"an outage without an incident that it affects": {
			func(t *SavedIncidents) {
				t.Incidents = slices.DeleteFunc(t.Incidents, func(i Incident) bool { return without(i, "web") })
			},
			[]string{"n2/db", "db"},
		},
		"an outage of another incident": {
			func(t *SavedIncidents) { t.Outages[2].ID.Incident.Index++ },
			[]string{"n1", "n1/web", "node n1", "web"},
		},
		"an outage without a course": {
			func(t *SavedIncidents) { t.Outages[2].Transitions = nil },
			[]string{"n1", "n1/web", "node n1", "web"},
		},
		"an outage of a check that passes": {
			func(t *SavedIncidents) { t.Outages[2].Status = Passing },
			[]string{"n1", "n1/web", "node n1", "web"},
		},
		"an outage twice": {
			func(t *SavedIncidents) {
				t.Outages = append(t.Outages, t.Outages[2])
				t.Outages[3].ID.Incident = t.Outages[0].ID.Incident
			},
			[]string{"n1", "n1/web", "n2/db", "node n1", "db", "web"},
		},
		"an outage that affects an incident twice": {
			func(t *SavedIncidents) { t.Outages[0].Affects = append(t.Outages[0].Affects, t.Outages[0].Affects[0]) },
			[]string{"n1/web", "n2/db", "db", "web"},
		},
		"two incidents of one subject": {
			func(t *SavedIncidents) {
				second := t.Incidents[1]
				second.ID.Index++
				t.Incidents = append(t.Incidents, second)
				another := t.Outages[2]
				another.ID.Check.Node, another.ID.Incident = "n3", second.ID
				t.Outages = append(t.Outages, another)
			},
			[]string{"n1", "n1/web", "n2/db", "node n1", "db", "web"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			saved := snapshottest.Stored(t, old.Save())
			tc.spoil(&saved)
			var h Health
			h.Restore(saved)
			var left []string
			for _, o := range h.Save().Outages {
				left = append(left, o.ID.Check.name())
			}
			for _, i := range h.Save().Incidents {
				left = append(left, i.ID.name())
			}
			assert.Equal(t, tc.want, left)
			require.NotPanics(t, func() {
				course(&h, 10, observed(2, "n1=critical", "n1/web=critical", "n2/db=warning", "n3/db=warning"),
					observed(3, "n1=critical", "n1/web=critical", "n2/db=passing", "n3/db=warning"),
					observed(4, "n1=passing", "n1/web=passing", "n2/db=passing", "n3/db=passing"))
			})
			assert.Empty(t, h.Save().Outages)
			assert.Empty(t, h.Save().Incidents)
		})
	}
}

// consumer knows what effects have reported.
type consumer struct {
	outages   map[OutageID]bool
	incidents map[IncidentID]map[OutageID]bool
	over      map[any]bool // by ID
}

// hear takes in the effects of a step. Silent says that some outages may have
// opened or closed unsaid, which ends with h.
func (k *consumer) take(t *testing.T, effects []Effect, h *Health, silent bool) {
	for _, e := range effects {
		switch e := e.(type) {
		case Opened:
			if k.incidents[e.Incident.ID] != nil || k.over[e.Incident.ID] {
				t.Fatalf("%v opened twice", e.Incident.ID)
			}
			k.incidents[e.Incident.ID] = map[OutageID]bool{}
		case Closed:
			if k.over[e.Incident.ID] || !silent && k.incidents[e.Incident.ID] == nil {
				t.Fatalf("%v closed without being open", e.Incident.ID)
			}
			if !silent && len(k.incidents[e.Incident.ID]) != 0 {
				t.Fatalf("%v closed, but %v lasts", e.Incident.ID, k.incidents[e.Incident.ID])
			}
			delete(k.incidents, e.Incident.ID)
			k.over[e.Incident.ID] = true
		case Transitioned:
			k.transitioned(t, e, silent)
		}
	}
	for incident, causes := range k.incidents {
		if len(causes) == 0 && !silent {
			t.Fatalf("%v is open without an outage", incident)
		}
	}
	saved := h.Save()
	now := newConsumer(saved, k.over)
	if !silent {
		assert.Equal(t, now, *k, "what is open was reported")
	}
	*k = now
}

func (k *consumer) transitioned(t *testing.T, e Transitioned, silent bool) {
	if e.Outage == nil {
		if e.Opened || e.Closed {
			t.Fatalf("%v has no outage", e)
		}
		return
	}
	outage := e.Outage.ID
	if k.over[outage] || e.Opened && k.outages[outage] || !e.Opened && !silent && !k.outages[outage] {
		t.Fatalf("%v opened: %v, closed: %v, was open: %v, was over: %v", outage, e.Opened, e.Closed, k.outages[outage], k.over[outage])
	}
	if last := e.Outage.Transitions[len(e.Outage.Transitions)-1]; e.Outage.Dropped == 0 && last != e.Transition {
		t.Fatalf("%v is not the last of %v", e.Transition, e.Outage.Transitions)
	}
	if e.Closed != (e.New.Severity() == 0) || e.Closed != !e.Outage.End.IsZero() || e.Outage.End.Before(e.Outage.Start) && e.Closed {
		t.Fatalf("%v closed: %v", e, e.Closed)
	}
	k.outages[outage] = true
	if e.Closed {
		delete(k.outages, outage)
		k.over[outage] = true
	}
	for _, incident := range append([]IncidentID{outage.Incident}, e.Outage.Affects...) {
		if k.incidents[incident] == nil {
			if !silent {
				t.Fatalf("%v is a part of %v, which is not open", outage, incident)
			}
			k.incidents[incident] = map[OutageID]bool{}
		}
		k.incidents[incident][outage] = true
		if e.Closed {
			delete(k.incidents[incident], outage)
		}
	}
}

func newConsumer(saved SavedIncidents, over map[any]bool) consumer {
	k := consumer{outages: map[OutageID]bool{}, incidents: map[IncidentID]map[OutageID]bool{}, over: over}
	for _, i := range saved.Incidents {
		k.incidents[i.ID] = map[OutageID]bool{}
	}
	for _, o := range saved.Outages {
		k.outages[o.ID] = true
		k.incidents[o.ID.Incident][o.ID] = true
		for _, i := range o.Affects {
			k.incidents[i][o.ID] = true
		}
	}
	return k
}

var (
	fuzzed   = []string{"n1", "n1/#disk", "n1/a", "n1/a#2", "n1/b", "n2", "n2/a", "n2/b", "n2/b#2", "n3", "n3/a", "n3/c"}
	statuses = []Status{Passing, Warning, Critical, None}
)

// Each byte sets the status of one check, by its two lowest bits and the four
// above; the two highest tell what follows: an observation, nothing yet, one
// after a gap, or one by another view if the status is none, and otherwise one
// after a restart.
func FuzzEveryOutageAndIncidentClosesOnce(f *testing.F) {
	f.Add(false, []byte{0x02, 0x00})                                           // a node fails and passes
	f.Add(true, []byte{0x02, 0x00, 0x03, 0x00, 0x01, 0x02})                    // it is deregistered
	f.Add(false, []byte{0x08, 0x18, 0x0a, 0x1a, 0x08, 0x18})                   // two checks of a service overlap
	f.Add(false, []byte{0x40, 0x48, 0x50, 0x02, 0x0a, 0x00, 0x08})             // a node fails under two services
	f.Add(true, []byte{0x40, 0x48, 0x0a, 0xca, 0x08})                          // a restart in the middle
	f.Add(false, []byte{0x40, 0x48, 0x02, 0xc0, 0x08})                         // it ended while away
	f.Add(true, []byte{0x40, 0x48, 0x0a, 0x0c, 0x4b, 0xcc, 0x08})              // a check vanished while away
	f.Add(false, []byte{0x08, 0x0a, 0x5a, 0xcb, 0x8a, 0x08, 0x18})             // one check goes with the view, another one comes
	f.Add(true, []byte{0x08, 0x0a, 0x1a, 0x2a, 0x88, 0xdb, 0x0b, 0x1a, 0x5a})  // registered as failing
	f.Add(false, []byte{0x08, 0x18, 0x0a, 0x1a, 0x48, 0xdb})                   // an incident ends as one of its checks goes with the view
	f.Add(false, []byte{0x54, 0x68, 0x16, 0x2a, 0x96, 0xea, 0x14, 0x28, 0xa8}) // n2 and n3
	f.Fuzz(func(t *testing.T, initial bool, script []byte) {
		h := &Health{EmitInitial: initial, MaxServices: 2}
		world := Checks{}
		listener := newConsumer(SavedIncidents{}, map[any]bool{})
		index, known := uint64(0), uint64(0)
		step := func(seen snapshot.Continuity, silent bool) {
			seen.Index, known = index, index
			o := snapshot.Observation[CheckID, Check]{Continuity: seen, Objects: maps.Clone(world)}
			_, effects := h.Step(snapshottest.At(int(index)), o)
			listener.take(t, effects, h, silent)
			affected := 0
			for _, outage := range h.Save().Outages {
				affected += 1 + len(outage.Affects)
				if now := world[outage.ID.Check]; now.Status != outage.Status || now.Status.Severity() == 0 {
					t.Fatalf("the outage %v is of a check that is %q", outage, now.Status)
				}
			}
			if open := len(h.Save().Incidents); open > affected {
				t.Fatalf("%d incidents of %d outages", open, affected)
			}
			if _, effects := h.Step(snapshottest.At(int(index)), o); len(effects) != 0 {
				t.Fatalf("the same snapshot is news: %v", effects)
			}
		}
		step(snapshot.Continuity{}, true)
		for _, b := range script {
			name, status := fuzzed[int(b>>2&0xf)%len(fuzzed)], statuses[b&3]
			if now, there := world[id(name)]; now.Status != status && (there || status != None) {
				index++
				world[id(name)] = check(name, status, index)
				if status == None {
					delete(world, id(name))
				}
			}
			switch follows := b >> 6; {
			case follows == 0:
				step(snapshot.Continuity{}, false)
			case follows == 2:
				step(snapshot.Continuity{Gap: true}, false)
			case follows == 3 && status == None:
				step(snapshot.Continuity{Rebased: true}, true)
			case follows == 3:
				before := h.Save()
				h = restarted(t, h)
				unchanged := known == index
				step(snapshot.Continuity{}, true)
				after := h.Save()
				for _, o := range before.Outages {
					if unchanged && !slices.ContainsFunc(after.Outages, func(now Outage) bool { return assert.ObjectsAreEqual(o, now) }) {
						t.Fatalf("%v did not survive a restart: %v", o, after.Outages)
					}
				}
			}
		}
		index++
		for id, check := range world {
			check.Status = Passing
			world[id] = check
		}
		step(snapshot.Continuity{}, false)
		if saved := h.Save(); len(saved.Outages)+len(saved.Incidents)+len(listener.outages)+len(listener.incidents) != 0 {
			t.Fatalf("all checks pass, and still open: %v", saved)
		}
	})
}

// Whatever was saved, by whomever, does not keep the receiver from going on.
func FuzzWhateverWasSavedIsRestored(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint8(0), []byte{0, 1, 2})
	f.Add(uint8(1), uint8(2), uint8(0x11), []byte{1, 0, 2})
	f.Add(uint8(2), uint8(0x10), uint8(0x33), []byte{2, 2, 0, 1})
	f.Fuzz(func(t *testing.T, from, to, what uint8, order []byte) {
		var h Health
		course(&h, 0, observed(1, "n1=passing", "n1/a=passing", "n1/b=passing", "n2/a=passing", "n2/b=passing"),
			observed(2, "n1=critical", "n1/a=critical", "n1/b=passing", "n2/a=passing", "n2/b=warning"))
		saved := h.Save()
		// Mix up one outage, or incident, with another one.
		into, out := &saved.Outages[int(to)%len(saved.Outages)], saved.Outages[int(from)%len(saved.Outages)]
		if what&1 != 0 {
			into.ID = out.ID
		}
		if what&2 != 0 {
			into.Affects = append(slices.Clone(into.Affects), out.ID.Incident)
		}
		if what&4 != 0 {
			into.ID.Incident = out.ID.Incident
		}
		if what&8 != 0 {
			into.Status = statuses[from%4]
		}
		if what&16 != 0 {
			saved.Outages = append(saved.Outages, out)
		}
		if what&32 != 0 {
			i := saved.Incidents[int(from)%len(saved.Incidents)]
			i.ID.Index += uint64(to % 2)
			saved.Incidents = append(saved.Incidents, i)
			into.ID.Incident = i.ID
		}
		if what&64 != 0 {
			saved.Incidents[int(to)%len(saved.Incidents)].ID = saved.Incidents[int(from)%len(saved.Incidents)].ID
		}
		h = Health{}
		h.Restore(snapshottest.Stored(t, saved))
		world := map[string]Status{}
		for i, b := range order {
			name := []string{"n1", "n1/a", "n1/b", "n2/a", "n2/b"}[int(b>>2)%5]
			world[name] = statuses[b&3]
			var now []string
			for name, status := range world {
				if status != None {
					now = append(now, name+"="+string(status))
				}
			}
			course(&h, 10+i, observed(uint64(3+i), now...))
		}
		course(&h, 500, observed(500))
		if saved := h.Save(); len(saved.Outages)+len(saved.Incidents) != 0 {
			t.Fatalf("all checks are gone, and still open: %v", saved)
		}
	})
}

// A snapshot brings back indexes that were used before.
func TestAnOutageThatASnapshotBringsBackIsAnotherOne(t *testing.T) {
	var h Health
	opened := func(o snapshot.Observation[CheckID, Check]) OutageID {
		_, effects := h.Step(snapshottest.At(int(o.Index)), o)
		for _, e := range effects {
			if transitioned, ok := e.(Transitioned); ok && transitioned.Opened {
				return transitioned.Outage.ID
			}
		}
		return OutageID{}
	}
	opened(observed(4, "n1/web=passing"))
	before := opened(observed(5, "n1/web=critical"))
	opened(observed(6, "n1/web=passing"))
	restored := observed(5, "n1/web=critical")
	restored.Gap, restored.Restored = true, true
	after := opened(restored)
	require.Equal(t, before.Index, after.Index)
	assert.NotEqual(t, before, after)
	assert.NotEqual(t, outageKeys("dc1", before).SpanID(), outageKeys("dc1", after).SpanID())
	assert.NotEqual(t, outageKeys("dc1", before).TraceID(), outageKeys("dc1", after).TraceID())

	opened(observed(7, "n1/web=passing"))
	assert.Zero(t, opened(observed(8, "n1/web=critical")).Restores, "another collector makes the same IDs of what follows")
}
