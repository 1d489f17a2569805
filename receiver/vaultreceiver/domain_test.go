// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
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
	e := newEndpoints(condition.NewReporter(zap.NewNop()), 10*time.Second, func(access) bool { return true })
	e.pace(time.Hour, endpointAudit)
	for _, endpoint := range []string{endpointAudit, endpointNodes} {
		e.set(now, endpoint, explainDenial(endpoint, "read", "permission denied"))
	}
	assert.False(t, e.off(now.Add(time.Minute), endpointNodes))
	assert.True(t, e.off(now.Add(5*time.Hour), endpointAudit))
	assert.False(t, e.off(now.Add(6*time.Hour), endpointAudit))
}

// mountsFake is a server that answers as Vault does, of two mounts if there are more.
type mountsFake struct {
	url                   string
	standsBy, more, quits atomic.Bool
	fails                 atomic.Bool // its health cannot be asked
}

func newMountsFake(t *testing.T) *mountsFake {
	t.Helper()
	const first, second = `"kv/":{"type":"kv","accessor":"kv_1","uuid":"1"}`, `,"new/":{"type":"kv","accessor":"kv_2","uuid":"2"}`
	var f mountsFake
	f.url = serve(t, map[string]http.Handler{
		"sys/health": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if f.fails.Load() {
				panic(http.ErrAbortHandler)
			}
			if f.standsBy.Load() {
				recorded{429, "health_429_standby.json"}.ServeHTTP(w, r)
			} else {
				recorded{200, "health_200_active.json"}.ServeHTTP(w, r)
			}
		}),
		"sys/mounts": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if f.quits.Load() {
				f.standsBy.Store(true)
			}
			if f.more.Load() {
				_, _ = w.Write([]byte(`{"data":{` + first + second + `}}`))
			} else {
				_, _ = w.Write([]byte(`{"data":{` + first + `}}`))
			}
		}),
	}).URL
	return &f
}

// A node that has just given up passes requests on to the one that leads.
func TestWhatAnotherNodeHasAnsweredIsNotTold(t *testing.T) {
	vault := newMountsFake(t)
	cfg := only(vault.url, "planted")
	cfg.Mounts.Enabled = true
	o := observe(t, cfg, "planted")
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.mount.count", "vault.mount.type", "kv"))
	vault.more.Store(true)
	vault.quits.Store(true)
	o.Eventually(t, "it stands by", o.HasValue(0, "vault.active"))
	o.Shutdown(t)
	assert.Empty(t, eventsOf(o, "vault.mount."))
}

func TestWhatAnotherNodeHasToldIsNotToldAfterARestart(t *testing.T) {
	vault := newMountsFake(t)
	dir := t.TempDir()
	cfg := only(vault.url, "planted")
	cfg.Mounts.Enabled = true
	start := func() *observedtest.Receiver { return startStored(t, cfg, dir) }
	o := start()
	o.Eventually(t, "what it knows", o.HasValue(1, "vault.mount.count", "vault.mount.type", "kv"))
	o.Shutdown(t)

	vault.standsBy.Store(true)
	o = start()
	o.Eventually(t, "it stands by", o.HasValue(0, "vault.active"))
	vault.more.Store(true)
	vault.standsBy.Store(false)
	o.Eventually(t, "it leads again", o.HasValue(2, "vault.mount.count", "vault.mount.type", "kv"))
	o.Shutdown(t)
	assert.Empty(t, eventsOf(o, "vault.mount."))

	vault.more.Store(false)
	o = start()
	o.Eventually(t, "what it has told itself", o.HasEvent("vault.mount.disabled", "vault.mount.path", "new/", "observation.reconciled", "true"))
}

// A server that comes back is asked at once, and one that fails for a moment is
// not forgotten for an interval.
func TestDomainsDoNotWaitForAnIntervalAfterAFailure(t *testing.T) {
	vault := newMountsFake(t)
	vault.fails.Store(true)
	cfg := only(vault.url, "planted")
	cfg.Mounts.Enabled, cfg.Mounts.Interval = true, time.Hour
	o := observe(t, cfg, "planted")
	o.Eventually(t, "it fails", o.HasValue(0, "vault.up"))
	vault.fails.Store(false)
	known := o.HasValue(1, "vault.mount.count", "vault.mount.type", "kv")
	o.Eventually(t, "it is asked when it comes", known)
	vault.fails.Store(true)
	o.Eventually(t, "it fails again", o.HasValue(0, "vault.endpoint.up", "vault.endpoint", endpointHealth))
	vault.fails.Store(false)
	o.Eventually(t, "it is back", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointHealth))
	o.Eventually(t, "and known yet", known)
}
