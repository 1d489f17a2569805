// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

var (
	fresh  = Server{Sealed: true, Standby: true}
	sealed = Server{Initialized: true, Sealed: true, Standby: true}
	lost   = Server{Initialized: true, Standby: true, HAEnabled: true, ClusterID: "c"}
	alone  = Server{Initialized: true, ClusterID: "c"} // without high availability

	removed = Server{Initialized: true, Sealed: true, Removed: true, Standby: true}
	other   = Server{Initialized: true, HAEnabled: true, LeaderAddress: "z", ClusterID: "d"}
)

func active(address string) Server {
	return Server{Initialized: true, HAEnabled: true, LeaderAddress: address, ClusterID: "c"}
}

func standby(leader string, connection Connection) Server {
	return Server{Initialized: true, Standby: true, HAEnabled: true, LeaderAddress: leader, Connection: connection, ClusterID: "c"}
}

// failed stands for polls that failed.
var failed = Server{Version: "failed"}

// course steps a machine once a second and describes every effect.
func course(servers ...Server) []string {
	var m Machine
	var told []string
	gap := false
	for i, s := range servers {
		if s == failed {
			gap = true
			continue
		}
		for _, e := range m.Step(at(i), Observation{Server: s, Gap: gap}) {
			told = append(told, fmt.Sprintf("%d:%s", i, describe(e)))
		}
		gap = false
	}
	return told
}

func describe(e Effect) string {
	line := ""
	if e.Event != None {
		line += " " + string(e.Event)
	}
	if e.Event == WatchGap {
		line += fmt.Sprintf(" of %s", e.Unseen)
	}
	if e.Event == LeaderChanged {
		line += fmt.Sprintf(" %q>%q", e.OldLeader, e.NewLeader)
	}
	if e.Reconciled {
		line += " reconciled"
	}
	if e.Opened {
		line += fmt.Sprintf(", %s opened", e.Period.Trouble)
	}
	if e.Closed {
		line += fmt.Sprintf(", %s closed after %s", e.Period.Trouble, e.Period.End.Sub(e.Period.Start))
	}
	if e.Period != nil && e.Period.BeganBefore {
		line += " began before"
	}
	return line
}

func TestCourses(t *testing.T) {
	for name, tc := range map[string]struct {
		saw  []Server
		want []string
	}{
		"a sealed time is told when it opens and when it closes": {
			[]Server{active("a"), sealed, sealed, active("a")},
			[]string{"1: sealed, sealed opened", "3: unsealed, sealed closed after 2s"},
		},
		"the baseline is not news": {
			[]Server{sealed, sealed},
			nil,
		},
		"a sealed time of the baseline began before": {
			[]Server{sealed, alone},
			[]string{"1: unsealed, sealed closed after 1s began before"},
		},
		"a leaderless time of the baseline began before": {
			[]Server{lost, standby("a", Healthy)},
			[]string{`1: leader changed "">"a", leaderless closed after 1s began before`},
		},
		"the first leader after a sealed baseline is not news": {
			[]Server{sealed, active("a")},
			[]string{"1: unsealed, sealed closed after 1s began before"},
		},
		"a server that is set up is initialized, then unsealed": {
			[]Server{fresh, sealed, active("a")},
			[]string{"1: initialized", "2: unsealed, sealed closed after 2s began before"},
		},
		"unreachable is not sealed": {
			[]Server{active("a"), failed, failed, active("a")},
			[]string{"3: gap of 3s"},
		},
		"what failed polls hid is reconciled": {
			[]Server{active("a"), failed, sealed, failed, active("a")},
			[]string{"2: gap of 2s", "2: sealed reconciled, sealed opened", "4: gap of 2s", "4: unsealed reconciled, sealed closed after 2s"},
		},
		"a new leader is told": {
			[]Server{active("a"), standby("b", Healthy), standby("b", Healthy)},
			[]string{`1: stepped down`, `1: leader changed "a">"b"`},
		},
		"a standby that follows another leader did not step down": {
			[]Server{standby("a", Healthy), standby("b", Healthy)},
			[]string{`1: leader changed "a">"b"`},
		},
		"a server that was restarted did not step down": {
			[]Server{active("a"), failed, standby("b", Healthy)},
			[]string{"2: gap of 2s", `2: leader changed "a">"b" reconciled`},
		},
		"a server that steps down sees nobody at first": {
			[]Server{active("a"), lost, active("a")},
			[]string{"1: stepped down", `1: leader changed "a">"", leaderless opened`, `2: leader changed "">"a", leaderless closed after 1s`},
		},
		"an answer that still names the leader is another server's": {
			[]Server{active("a"), standby("a", Healthy), active("a")},
			nil,
		},
		"a removed server is sealed, too": {
			[]Server{standby("a", Healthy), removed, removed},
			[]string{"1: removed", "1: sealed, sealed opened"},
		},
		"a server that is set up anew has another cluster": {
			[]Server{active("a"), fresh, sealed, other},
			[]string{"1: sealed, sealed opened", "2: initialized", "3: unsealed, sealed closed after 2s"},
		},
		"another cluster is a new baseline": {
			[]Server{active("a"), other, sealed},
			[]string{"2: sealed, sealed opened"},
		},
		"a lost leader opens a leaderless time": {
			[]Server{standby("a", Healthy), lost, lost, standby("b", Unknown)},
			[]string{`1: leader changed "a">"", leaderless opened`, `3: leader changed "">"b", leaderless closed after 2s`},
		},
		"an address that Vault keeps telling does not hide a lost leader": {
			[]Server{standby("a", Healthy), standby("a", Broken), standby("a", Healthy)},
			[]string{`1: leader changed "a">"", leaderless opened`, `2: leader changed "">"a", leaderless closed after 1s`},
		},
		"a server that becomes active ends a leaderless time": {
			[]Server{lost, lost, active("a")},
			[]string{`2: leader changed "">"a", leaderless closed after 2s began before`},
		},
		"a redacted address is no lost leader": {
			[]Server{standby("", Healthy), active(""), standby("", Healthy)},
			nil,
		},
		"a leader that is lost behind a redacted address": {
			[]Server{standby("", Healthy), standby("", Broken), standby("", Healthy)},
			[]string{"1:, leaderless opened", "2:, leaderless closed after 1s"},
		},
		"without high availability there is no leader to lose": {
			[]Server{alone, alone},
			nil,
		},
		"a sealed server is not also leaderless": {
			[]Server{active("a"), lost, sealed, lost, active("a")},
			[]string{
				"1: stepped down", `1: leader changed "a">"", leaderless opened`,
				"2:, leaderless closed after 1s", "2: sealed, sealed opened",
				"3: unsealed, sealed closed after 1s", "3:, leaderless opened",
				`4: leader changed "">"a", leaderless closed after 1s`,
			},
		},
		"a leader that changed during a sealed time is told after it": {
			[]Server{active("a"), sealed, standby("b", Healthy)},
			[]string{"1: sealed, sealed opened", "2: unsealed, sealed closed after 1s", `2: leader changed "a">"b"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, course(tc.saw...))
		})
	}
}

func TestAPeriodKeepsTheClusterItBeganIn(t *testing.T) {
	var m Machine
	m.Step(at(0), Observation{Server: active("a")})
	opened := m.Step(at(1), Observation{Server: sealed})[0].Period
	closed := m.Step(at(2), Observation{Server: active("a")})[0].Period
	assert.Equal(t, "c", opened.ClusterID)
	opened.End = closed.End
	assert.Equal(t, opened, closed)
}

func TestAPeriodThatWasToldDoesNotChange(t *testing.T) {
	var m Machine
	m.Step(at(0), Observation{Server: active("a")})
	opened := m.Step(at(1), Observation{Server: sealed})[0].Period
	m.Step(at(2), Observation{Server: active("a")})
	assert.True(t, opened.End.IsZero())
}

func TestStates(t *testing.T) {
	replica := active("a")
	replica.DRSecondary = true
	for name, tc := range map[string]struct {
		server         Server
		active, tokens bool
	}{
		"active":                           {active("a"), true, true},
		"without high availability":        {alone, true, true},
		"replica":                          {replica, true, false},
		"standby":                          {standby("a", Healthy), false, false},
		"sealed":                           {sealed, false, false},
		"neither initialized nor unsealed": {fresh, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.active, tc.server.Active())
			assert.Equal(t, tc.tokens, tc.server.AcceptsTokens())
		})
	}
}

func TestWhoSeesALeader(t *testing.T) {
	for name, tc := range map[string]struct {
		server             Server
		has, known, passes bool
	}{
		"active":                    {active("a"), true, true, true},
		"without high availability": {alone, true, true, true},
		"standby":                   {standby("a", Healthy), true, true, true},
		"standby of an old Vault":   {standby("a", Unknown), true, true, true},
		"standby that lost it":      {standby("a", Broken), false, true, false},
		"standby that knows nobody": {lost, false, true, false},
		"sealed":                    {sealed, true, false, false},
		"not initialized":           {fresh, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			has, known := tc.server.HasLeader()
			assert.Equal(t, tc.known, known)
			if known {
				assert.Equal(t, tc.has, has)
			}
			assert.Equal(t, tc.passes, tc.server.PassesTokens())
		})
	}
}

// FuzzARestartChangesNoPeriod compares a machine with one that is restarted
// again and again: they have the same periods open.
func FuzzARestartChangesNoPeriod(f *testing.F) {
	servers := []Server{fresh, sealed, removed, lost, alone, active("a"), active("b"), standby("a", Healthy), standby("b", Broken), other}
	f.Add([]byte{5, 1, 129, 5})
	f.Add([]byte{7, 8, 136, 7, 9})
	f.Fuzz(func(t *testing.T, course []byte) {
		var steady, restarted Machine
		for i, b := range course {
			o := Observation{Server: servers[int(b)%len(servers)], Gap: b%3 == 0, Several: b%7 == 0}
			steady.Step(at(i), o)
			restarted.Step(at(i), o)
			if b > 127 {
				if saved, known := restarted.Save(); known {
					restarted = Machine{}
					restarted.Restore(saved)
				}
			}
			for _, pair := range [][2]*Period{{steady.sealed, restarted.sealed}, {steady.leaderless, restarted.leaderless}} {
				if (pair[0] == nil) != (pair[1] == nil) || pair[0] != nil && !pair[0].Start.Equal(pair[1].Start) {
					t.Fatal("the periods differ")
				}
			}
			if steady.leader != restarted.leader || steady.clusterID != restarted.clusterID {
				t.Fatal("what is known differs")
			}
		}
	})
}

func FuzzEveryPeriodOpensAndClosesOnce(f *testing.F) {
	servers := []Server{
		fresh, sealed, removed, lost, alone, active("a"), active("b"), active(""),
		standby("a", Healthy), standby("b", Unknown), standby("a", Broken), standby("", Healthy),
	}
	f.Add([]byte{4, 1, 2, 4})
	f.Add([]byte{0, 1, 4, 9, 1, 7})
	f.Fuzz(func(t *testing.T, course []byte) {
		var m Machine
		open := map[Trouble]bool{}
		for i, b := range course {
			s := servers[int(b)%len(servers)]
			effects := m.Step(at(i), Observation{Server: s, Gap: b > 127})
			if i == 0 {
				open[SealedTime], open[Leaderless] = s.Sealed, s.Leaderless()
			}
			for _, e := range effects {
				if e.Opened == e.Closed && e.Period != nil {
					t.Fatal("a period that neither opens nor closes, or both")
				}
				if e.Event == None && e.Period == nil {
					t.Fatal("an effect of nothing")
				}
				if e.Opened && open[e.Period.Trouble] {
					t.Fatal("opened twice")
				}
				if e.Closed && !open[e.Period.Trouble] {
					t.Fatal("closed without being open")
				}
				if e.Period != nil {
					open[e.Period.Trouble] = e.Opened
				}
				if open[SealedTime] && open[Leaderless] {
					t.Fatal("sealed and leaderless at once")
				}
			}
			if open[SealedTime] != s.Sealed || open[Leaderless] != s.Leaderless() {
				t.Fatal("the open periods are not the troubles of the server")
			}
		}
	})
}
