// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

func describeAll(effects []Effect) (lines []string) {
	for _, e := range effects {
		lines = append(lines, describeHealth(e))
	}
	return lines
}

// begun returns a Health after a baseline.
func begun(index uint64, checks ...string) *Health {
	h := &Health{MaxServices: 100}
	h.Step(snapshottest.At(0), observed(index, checks...))
	return h
}

func TestListsReportWhatFails(t *testing.T) {
	h := begun(1, "n1/web=passing", "n2/web=passing")
	assert.Equal(t, []string{"incident web opened", "n1/web passing>critical opened"},
		describeAll(h.StepList(snapshottest.At(1), Critical, 2, observed(2, "n1/web=critical").Objects)))
	nodes, _ := h.Unresolved()
	assert.Empty(t, nodes)

	// It leaves the list, and is read on its own: it passes.
	assert.Empty(t, h.StepList(snapshottest.At(2), Critical, 3, Checks{}))
	nodes, index := h.Unresolved()
	assert.Equal(t, map[string][]CheckID{"n1": {id("n1/web")}}, nodes)
	assert.EqualValues(t, 3, index)
	assert.Empty(t, h.StepResolved(snapshottest.At(2), 2, nodes["n1"], observed(2, "n1/web=critical").Objects), "an answer that is too old")
	assert.Equal(t, []string{"n1/web critical>passing closed 1s worst critical", "incident web closed 1s worst critical"},
		describeAll(h.StepResolved(snapshottest.At(2), 3, nodes["n1"], observed(3, "n1/web=passing").Objects)))
	nodes, _ = h.Unresolved()
	assert.Empty(t, nodes)
}

func TestACheckThatLeftItsListIsGone(t *testing.T) {
	h := begun(1, "n1/web=passing")
	h.StepList(snapshottest.At(1), Critical, 2, observed(2, "n1/web=critical").Objects)
	h.StepList(snapshottest.At(2), Critical, 3, Checks{})
	assert.Equal(t, []string{"n1/web critical>none closed 1s worst critical", "incident web closed 1s worst critical"},
		describeAll(h.StepResolved(snapshottest.At(2), 3, []CheckID{id("n1/web")}, Checks{})))
	assert.Empty(t, h.StepList(snapshottest.At(3), Critical, 2, observed(2, "n1/web=critical").Objects), "an older answer does not bring it back")
	_, effects := h.StepAll(snapshottest.At(3), observed(2, "n1/web=critical"))
	assert.Empty(t, effects, "nor does that with all checks")
}

func TestACheckThatGoesFromOneListToTheOther(t *testing.T) {
	for name, steps := range map[string][]func(*Health) []Effect{
		"the one that it enters is first": {
			func(h *Health) []Effect {
				return h.StepList(snapshottest.At(2), Warning, 3, observed(3, "n1/web=warning").Objects)
			},
			func(h *Health) []Effect { return h.StepList(snapshottest.At(2), Critical, 3, Checks{}) },
		},
		"the one that it leaves is first": {
			func(h *Health) []Effect { return h.StepList(snapshottest.At(2), Critical, 3, Checks{}) },
			func(h *Health) []Effect {
				return h.StepList(snapshottest.At(2), Warning, 3, observed(3, "n1/web=warning").Objects)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := begun(1, "n1/web=passing")
			h.StepList(snapshottest.At(1), Critical, 2, observed(2, "n1/web=critical").Objects)
			var effects []Effect
			for _, step := range steps {
				effects = append(effects, step(h)...)
			}
			assert.Equal(t, []string{"n1/web critical>warning"}, describeAll(effects))
			nodes, _ := h.Unresolved()
			assert.Empty(t, nodes)
		})
	}
}

// Between two reads of all checks, one is registered as passing and fails: it has left
// passing, although it was never observed so.
func TestACheckThatIsNewButWasInNoListHasBeenPassing(t *testing.T) {
	h := begun(1, "n1/web=passing")
	h.StepList(snapshottest.At(1), Critical, 5, Checks{})
	h.StepList(snapshottest.At(1), Warning, 5, Checks{})
	known := check("n2/web", Critical, 7)
	known.Created = 4
	fresh := check("n3/web", Critical, 7)
	fresh.Created = 6
	assert.Equal(t, []string{"n2/web none>passing no outage", "incident web opened", "n2/web passing>critical opened", "n3/web none>critical opened"},
		describeAll(h.StepList(snapshottest.At(2), Critical, 7, Checks{id("n2/web"): known, id("n3/web"): fresh})))
}

func TestASignalThatGoesOnByItselfComparesWithWhatIsKnown(t *testing.T) {
	h := begun(1, "n1/web=passing", "n2/web=passing")
	fork := h.Clone()
	h.StepList(snapshottest.At(1), Critical, 2, observed(2, "n1/web=critical").Objects)
	h.StepList(snapshottest.At(2), Critical, 3, observed(3, "n1/web=critical@2", "n2/web=critical").Objects)
	assert.Equal(t, Passing, fork.Checks()[id("n1/web")].Status)
	gap, effects := fork.Step(snapshottest.At(2), snapshot.Observation[CheckID, Check]{
		Continuity: snapshot.Continuity{Index: h.Index(), Gap: true}, Objects: h.Checks(),
	})
	assert.Equal(t, &snapshot.Gap{Old: 1, New: 3}, gap)
	assert.Equal(t, []string{"incident web opened", "n1/web passing>critical opened reconciled", "n2/web passing>critical opened reconciled"}, describeAll(effects))
}

func TestARestoredSnapshotThatIsNotOlder(t *testing.T) {
	h := begun(10, "n1/web=passing@8", "n2/web=critical@9")
	assert.True(t, h.Overtaken(10, 12, observed(12, "n1/web=passing@7").Objects), "modified earlier than is known")
	assert.True(t, h.Overtaken(10, 12, observed(12, "n3/web=critical@4").Objects), "not known, but older than the last answer")
	assert.False(t, h.Overtaken(10, 12, observed(12, "n1/web=passing@8", "n3/web=critical@11").Objects))
	h.StepList(snapshottest.At(1), Critical, 15, observed(15, "n2/web=critical@14").Objects)
	assert.False(t, h.Overtaken(10, 12, observed(12, "n2/web=critical@9").Objects), "a list is ahead")
}

func TestMaintenanceIsNoOutage(t *testing.T) {
	node, instance := "n1/"+nodeMaintenance, "n1/"+serviceMaintenance+"web"
	of := func(o snapshot.Observation[CheckID, Check]) snapshot.Observation[CheckID, Check] {
		for id, check := range o.Objects {
			if isMaintenance(id) {
				check.Service, check.Reason = "", "disk swap"
				if id.Check != nodeMaintenance {
					check.Service, check.ServiceID = "web", "web"
				}
				o.Objects[id] = check
			}
		}
		return o
	}
	h := begun(1, "n1/web=passing")
	_, effects := h.Step(snapshottest.At(1), of(observed(2, "n1/web=passing@1", node+"=critical", instance+"=critical")))
	require.Len(t, effects, 2)
	for _, e := range effects {
		assert.False(t, e.(Maintained).Ended)
		assert.Equal(t, "disk swap", e.(Maintained).Check.Reason)
	}
	assert.Empty(t, h.Save().Outages)
	assert.EqualValues(t, 2, h.Counts()[Maintenance])
	assert.Zero(t, h.Counts()[Critical])
	assert.Equal(t, map[string]Instances{"web": {Maintenance: 1}}, h.Instances(snapshottest.At(60), Known{Hosted: true}))
	assert.EqualValues(t, 1, h.Transitions()[Counted{"web", Maintenance}])

	_, effects = h.Step(snapshottest.At(2), observed(3, "n1/web=passing@1"))
	require.Len(t, effects, 2)
	assert.True(t, effects[0].(Maintained).Ended)
	assert.Equal(t, "disk swap", effects[0].(Maintained).Check.Reason)
}

func TestASidecarHasTransitionsOnly(t *testing.T) {
	h := begun(1, "n1=passing", "n1/web=passing", "n1/web-proxy=passing")
	h.Sidecars = map[string]bool{"web-proxy": true}
	_, effects := h.Step(snapshottest.At(1), observed(2, "n1=passing@1", "n1/web=passing@1", "n1/web-proxy=critical"))
	assert.Equal(t, []string{"n1/web-proxy passing>critical no outage"}, describeAll(effects))
	_, effects = h.Step(snapshottest.At(2), observed(3, "n1=critical", "n1/web=passing@1", "n1/web-proxy=critical@2"))
	assert.Equal(t, []string{"incident node n1 opened", "incident web opened", "n1 passing>critical opened affects web"}, describeAll(effects))

	h = begun(1, "n1/web-proxy=passing")
	h.Sidecars, h.SidecarIncidents = map[string]bool{"web-proxy": true}, true
	_, effects = h.Step(snapshottest.At(1), observed(2, "n1/web-proxy=critical"))
	assert.Equal(t, []string{"incident web-proxy opened", "n1/web-proxy passing>critical opened"}, describeAll(effects))
}

func TestEachKnownServiceIsCountedFromZero(t *testing.T) {
	h := begun(1, "n1/a=passing", "n1/b=passing", "n1=passing")
	h.MaxServices = 2
	zero := [classes]int64{}
	assert.ElementsMatch(t, []ServiceTransitions{{"", zero}, {"a", zero}, {"b", zero}}, h.TransitionsOfAll())
	h.Step(snapshottest.At(1), observed(2, "n1/a=critical", "n1/b=passing@1", "n1/c=passing", "n1=passing@1"))
	assert.ElementsMatch(t, []ServiceTransitions{{"", zero}, {"a", [classes]int64{critical: 1}}, {"b", zero}, {Other, [classes]int64{passing: 1}}}, h.TransitionsOfAll())
	h.Step(snapshottest.At(2), observed(3, "n1/a=critical@2", "n1=passing@1", "n1/d=passing"))
	h.Step(snapshottest.At(3), observed(4, "n1/a=critical@2", "n1=passing@1", "n1/d=passing@3"))
	assert.ElementsMatch(t, []ServiceTransitions{{"", zero}, {"a", [classes]int64{critical: 1}}, {"d", zero}, {Other, [classes]int64{passing: 2}}}, h.TransitionsOfAll(),
		"b is gone, and leaves its room")
}

func TestInstancesOnNodesThatAreIll(t *testing.T) {
	h := begun(1, "n1=critical", "n1/web=passing", "n2/web=passing")
	totals := map[string]int64{"web": 2, "bare": 3}
	assert.Equal(t, map[string]Instances{"web": {Passing: 1, Critical: 1}, "bare": {Unknown: 3}},
		h.Instances(snapshottest.At(60), Known{Totals: totals}), "nobody knows which are on n1")
	h.Host("n1", []Instance{{"bare", "b1"}, {"web", "web"}})
	assert.Equal(t, map[string]Instances{"web": {Passing: 1, Critical: 1}, "bare": {Passing: 2, Critical: 1}},
		h.Instances(snapshottest.At(60), Known{Totals: totals, Hosted: true}))
	assert.Equal(t, []InstanceState{
		{Instance{"bare", "b1"}, NodeState{"n1", Critical}}, {Instance{"web", "web"}, NodeState{"n1", Critical}}, {Instance{"web", "web"}, NodeState{"n2", Passing}},
	}, h.InstanceStates())
	assert.Equal(t, []NodeState{{"n1", Critical}, {"n2", Passing}}, h.Nodes())
	h.Step(snapshottest.At(61), observed(2, "n1=passing", "n1/web=passing@1", "n2/web=passing@1"))
	h.Host("n1", nil)
	assert.Equal(t, map[string]Instances{"web": {Passing: 2}, "bare": {Passing: 3}},
		h.Instances(snapshottest.At(120), Known{Totals: totals, Hosted: true}))
}

// An instance with a check goes, and Consul's totals have it still: it does not appear as
// one without a check.
func TestTotalsThatLagBehindAddNothing(t *testing.T) {
	h := begun(1, "n1/web=passing", "n2/web=passing")
	totals := map[string]int64{"web": 2}
	assert.Equal(t, map[string]Instances{"web": {Passing: 2}}, h.Instances(snapshottest.At(1), Known{Totals: totals, Hosted: true}))
	h.Step(snapshottest.At(10), observed(2, "n1/web=passing@1"))
	assert.Equal(t, map[string]Instances{"web": {Passing: 1}}, h.Instances(snapshottest.At(11), Known{Totals: totals, Hosted: true}))
	h.Step(snapshottest.At(12), observed(3))
	assert.Equal(t, map[string]Instances{"web": {}}, h.Instances(snapshottest.At(13), Known{Totals: totals, Hosted: true}))
	delete(totals, "web")
	assert.Empty(t, h.Instances(snapshottest.At(60), Known{Totals: totals, Hosted: true}))
}

func TestNamesInAnyCaseAreJoined(t *testing.T) {
	assert.Equal(t, NewCheckID("web1", "serfhealth"), NewCheckID("WEB1", "serfHealth"))
	h := &Health{}
	checks := Checks{
		NewCheckID("web1", "api"):  {Node: "web1", ID: "api", Service: "API", ServiceID: "api", Status: Passing},
		NewCheckID("WEB1", "load"): {Node: "web1", ID: "load", Status: Critical},
		NewCheckID("web2", "api"):  {Node: "web2", ID: "api", Service: "api", ServiceID: "api", Status: Warning},
	}
	h.Step(snapshottest.At(0), snapshot.Observation[CheckID, Check]{Objects: checks})
	both := Instances{Warning: 1, Critical: 1}
	assert.Equal(t, map[string]Instances{"API": both, "api": both}, h.Instances(snapshottest.At(0), Known{}), "as Consul answers for either name")
}

func FuzzStatusesAreCountedOnce(f *testing.F) {
	f.Add("passing", "odd")
	f.Fuzz(func(t *testing.T, a, b string) {
		checks := Checks{}
		for i, status := range []string{a, b} {
			checks[CheckID{"n", strconv.Itoa(i)}] = Check{Service: "s", ServiceID: "s", Status: Status(status)}
		}
		var sum int64
		for _, n := range CountByStatus(checks) {
			sum += n
		}
		assert.EqualValues(t, 2, sum)
		counts := InstancesByHealth(checks, nil)["s"]
		assert.EqualValues(t, 1, counts.sum())
	})
}

// A check that the token hid was in no list before: that does not mean that it passed.
func TestAListThatShowsMoreThanBefore(t *testing.T) {
	h := begun(9, "n1/db=passing")
	h.SetPartial(true)
	shown := observed(10, "n1/web=critical@5").Objects
	assert.True(t, h.Appeared(9, shown), "the list before must have had it")
	assert.False(t, h.Appeared(9, observed(10, "n1/web=critical@10").Objects), "it is new")
	for _, line := range describeAll(h.StepList(snapshottest.At(1), Critical, 10, observed(10, "n1/web=critical").Objects)) {
		assert.NotContains(t, line, "passing")
	}
}

func TestAResolutionMakesProgress(t *testing.T) {
	h := begun(1, "n1/web=critical", "n2/web=critical")
	h.StepList(snapshottest.At(1), Critical, 5, Checks{})
	h.StepAll(snapshottest.At(1), observed(4, "n2/web=critical@1")) // older, and one of them is gone
	nodes, _ := h.Unresolved()
	assert.NotContains(t, nodes, "n1", "there is nothing to resolve of a check that is gone")
	h.StepResolved(snapshottest.At(2), 5, nodes["n2"], Checks{})
	nodes, _ = h.Unresolved()
	assert.Empty(t, nodes)
}
