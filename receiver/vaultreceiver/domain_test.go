// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestATermEndsWhenAnotherNodeLeads(t *testing.T) {
	const own, another = "http://127.0.0.1:8200", "http://127.0.0.1:8300"
	active := state.Server{Initialized: true, HAEnabled: true, ClusterID: "a", LeaderAddress: own}
	standby := func(leader string, connection state.Connection) state.Server {
		s := active
		s.Standby, s.LeaderAddress, s.Connection = true, leader, connection
		return s
	}
	sealed := state.Server{Initialized: true, Sealed: true, Standby: true}
	elsewhere := active
	elsewhere.ClusterID = "b"
	redacted := active
	redacted.LeaderAddress = ""
	for name, c := range map[string]struct {
		seen []state.Server
		want int
	}{
		"it leads":                          {[]state.Server{active, active}, 0},
		"it is sealed":                      {[]state.Server{active, sealed, active}, 0},
		"it is unsealed, and leads soon":    {[]state.Server{active, sealed, standby("", state.Unknown), active}, 0},
		"it names itself, before it leads":  {[]state.Server{active, sealed, standby(own, state.Unknown), active}, 0},
		"it is without a leader meanwhile":  {[]state.Server{active, standby(another, state.Broken), active}, 0},
		"another one leads meanwhile":       {[]state.Server{active, standby(another, state.Unknown), active}, 1},
		"one leads whose address is hidden": {[]state.Server{redacted, standby("", state.Healthy), standby("", state.Healthy), redacted}, 1},
		"one leads, and so does the next":   {[]state.Server{active, standby(another, state.Healthy), standby("", state.Broken), standby(another, state.Healthy)}, 2},
		"it is a standby from the start":    {[]state.Server{standby(another, state.Healthy), active}, 1},
		"it is of another cluster":          {[]state.Server{active, elsewhere}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var w watcher
			for _, s := range c.seen {
				w.count(s)
			}
			assert.Equal(t, c.want, w.terms)
		})
	}
}

func TestOfWhatWaitsTheNewestIsShown(t *testing.T) {
	at := func(seconds int, value string) sight[string] {
		return sight[string]{answer: answer[string]{value: value, at: time.Unix(int64(seconds), 0)}}
	}
	replaced := at(3, "c")
	replaced.gap = true
	later := at(2, "b")
	later.term.Number, later.gap = 1, true
	for name, c := range map[string]struct {
		shown []sight[string]
		want  sight[string]
	}{
		"one":                      {[]sight[string]{at(1, "a")}, at(1, "a")},
		"the same again":           {[]sight[string]{at(1, "a"), at(2, "a")}, at(1, "a")},
		"something else":           {[]sight[string]{at(1, "a"), at(2, "b"), at(3, "c")}, replaced},
		"the same in a later term": {[]sight[string]{at(1, "b"), later}, later},
	} {
		t.Run(name, func(t *testing.T) {
			news := make(chan sight[string], 1)
			for _, s := range c.shown {
				show(news, s)
			}
			assert.Equal(t, c.want, <-news)
		})
	}
}

func TestWhatIsDeniedIsAskedForAgainAtItsOwnPace(t *testing.T) {
	now := time.Now()
	e := newEndpoints(condition.NewReporter(zap.NewNop()), 10*time.Second, func(access) {})
	e.pace(time.Hour, endpointAudit)
	for _, endpoint := range []string{endpointAudit, endpointNodes} {
		e.set(now, endpoint, explainDenial(endpoint, "read", "permission denied"))
	}
	assert.False(t, e.off(now.Add(time.Minute), endpointNodes))
	assert.True(t, e.off(now.Add(5*time.Hour), endpointAudit))
	assert.False(t, e.off(now.Add(6*time.Hour), endpointAudit))
}
