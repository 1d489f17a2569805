// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

// leasesFake is a server that answers as Vault does, of the leases it is given,
// which last an hour and are not renewable.
type leasesFake struct {
	url      string
	standsBy atomic.Bool
	asked    atomic.Int64 // for the number of those that cannot be revoked
	ids      atomic.Pointer[[]string]
}

func newLeasesFake(t *testing.T, ids ...string) *leasesFake {
	t.Helper()
	f := &leasesFake{}
	f.say(ids...)
	issued := time.Now().Add(-time.Minute).UTC()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/sys/health", func(w http.ResponseWriter, r *http.Request) {
		if f.standsBy.Load() {
			recorded{429, "health_429_standby.json"}.ServeHTTP(w, r)
		} else {
			recorded{200, "health_200_active.json"}.ServeHTTP(w, r)
		}
	})
	mux.HandleFunc("/v1/sys/leases/count", func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		recorded{200, "leases_count.json"}.ServeHTTP(w, r)
	})
	mux.HandleFunc("/v1/sys/leases/lookup/", func(w http.ResponseWriter, r *http.Request) {
		folder := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1/sys/leases/lookup/"), "/") + "/"
		names := []string{}
		seen := map[string]bool{}
		for _, id := range *f.ids.Load() {
			if name, within := strings.CutPrefix(id, folder); within {
				if before, _, deeper := strings.Cut(name, "/"); deeper {
					name = before + "/"
				}
				if !seen[name] {
					seen[name] = true
					names = append(names, name)
				}
			}
		}
		if len(names) == 0 {
			nothing(w)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"keys": names}})
	})
	mux.HandleFunc("/v1/sys/leases/lookup", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
			"issue_time": issued, "expire_time": issued.Add(time.Hour), "ttl": int(time.Until(issued.Add(time.Hour)).Seconds()),
		}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *leasesFake) say(ids ...string) { f.ids.Store(&ids) }

// followed returns a configuration that follows its leases.
func (f *leasesFake) followed() *Config {
	cfg := only(f.url, "planted")
	cfg.Leases.Mode, cfg.Leases.Prefixes = ModePrefixes, []string{"pki"}
	cfg.Leases.Interval, cfg.Leases.RequestsPerSecond = 200*time.Millisecond, 1000
	return cfg
}

// known says whether that many leases are followed, and all are read.
func known(o *observedtest.Receiver, n int64) func() bool {
	return func() bool {
		return o.HasValue(n, "vault.lease.followed.count", "vault.expiry", "hour")() && o.HasValue(0, "vault.lease.unread.count")()
	}
}

func TestWhatAnotherNodeHasToldOfLeasesIsNotToldAfterARestart(t *testing.T) {
	vault := newLeasesFake(t, "pki/issue/web/a")
	dir, cfg := t.TempDir(), vault.followed()
	start := func() *observedtest.Receiver { return startStored(t, cfg, dir) }
	o := start()
	o.Eventually(t, "what it knows", known(o, 1))
	o.Shutdown(t)

	vault.standsBy.Store(true)
	o = start()
	o.Eventually(t, "it stands by", o.HasValue(0, "vault.active"))
	vault.say("pki/issue/web/b", "pki/issue/web/c")
	vault.standsBy.Store(false)
	o.Eventually(t, "it leads again", known(o, 2))
	o.Shutdown(t)
	assert.Empty(t, eventsOf(o, "vault.lease."))

	vault.say("pki/issue/web/b")
	o = start()
	o.Eventually(t, "what it has seen itself", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash("pki/issue/web/c")))
	assert.Len(t, eventsOf(o, "vault.lease."), 1)
}

func TestAnotherDepthBeginsWithABaseline(t *testing.T) {
	vault := newLeasesFake(t, "pki/issue/a", "pki/issue/web/b")
	dir, cfg := t.TempDir(), vault.followed()
	const depth = "leases::depth of pki"
	for _, levels := range []struct {
		depth  int
		leases int64
		warned bool
	}{{2, 2, false}, {1, 1, true}, {2, 2, false}} {
		cfg.Leases.Depth = levels.depth
		o := startStored(t, cfg, dir)
		o.Eventually(t, "what is not too deep", known(o, levels.leases))
		o.Eventually(t, "what is too deep is said", func() bool { return o.Warnings(depth) > 0 == levels.warned })
		o.Shutdown(t)
		assert.Empty(t, eventsOf(o, "vault.lease."), levels.depth)
	}
}
