// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
)

// deniedEvery is after how many intervals something is asked for again that the
// token may not read: Vault audits each such request.
const deniedEvery = 6

// endpoints keeps how the last use of each part of the Vault API went.
type endpoints struct {
	condition *condition.Reporter
	interval  time.Duration

	tell func(access) bool // false: there is no room

	mu     sync.Mutex
	paces  map[string]time.Duration // of those that have an interval of their own
	up     map[string]bool
	denied map[string]time.Time // when it was
	told   map[string]bool      // that it is denied
}

// access is what has become of a part of the API that the token may use, or not.
type access struct {
	endpoint string
	denied   bool
}

// newEndpoints returns endpoints that tell, once each, which are denied and which
// are allowed again.
func newEndpoints(reporter *condition.Reporter, interval time.Duration, tell func(access) bool) *endpoints {
	return &endpoints{
		condition: reporter, interval: interval, tell: tell,
		paces: map[string]time.Duration{}, up: map[string]bool{}, denied: map[string]time.Time{}, told: map[string]bool{},
	}
}

// set takes in the outcome of one use, and reports it.
func (e *endpoints) set(now time.Time, endpoint string, err error) {
	e.mu.Lock()
	e.up[endpoint] = err == nil
	if refusedWith(err) == http.StatusForbidden {
		e.denied[endpoint] = now
	} else {
		delete(e.denied, endpoint)
	}
	news := e.news(endpoint, err)
	e.mu.Unlock()
	e.condition.Set(endpoint, err)
	if news && !e.tell(access{endpoint, err != nil}) {
		e.mu.Lock()
		e.told[endpoint] = err == nil // It is told with the next use.
		e.mu.Unlock()
	}
}

// news says whether an endpoint is denied now and was not, or the other way
// round. A token that is not valid at all, and a login that is refused, are told
// as such.
func (e *endpoints) news(endpoint string, err error) bool {
	if err != nil && (!errors.Is(err, errDenied) || strings.HasSuffix(endpoint, "/login")) {
		return false
	}
	if e.told[endpoint] == (err != nil) {
		return false
	}
	e.told[endpoint] = err != nil
	return true
}

// off says whether the endpoint was denied, and it is too early to ask again.
func (e *endpoints) off(now time.Time, endpoint string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, denied := e.denied[endpoint]
	return denied && now.Sub(at) < deniedEvery*cmp.Or(e.paces[endpoint], e.interval)
}

// pace takes in at which interval endpoints are asked.
func (e *endpoints) pace(every time.Duration, endpoints ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, endpoint := range endpoints {
		e.paces[endpoint] = every
	}
}

// forgive has what was denied asked for again, as another token is used.
func (e *endpoints) forgive() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.denied)
}

// rest takes in that the endpoints cannot be asked now, which is no failure.
func (e *endpoints) rest(endpoints ...string) {
	e.mu.Lock()
	for _, endpoint := range endpoints {
		delete(e.up, endpoint)
		delete(e.denied, endpoint)
	}
	e.mu.Unlock()
	e.condition.Rest(endpoints...)
}

// restFailed is rest for an endpoint that failed and was not denied.
func (e *endpoints) restFailed(endpoint string) {
	e.mu.Lock()
	up, known := e.up[endpoint]
	_, denied := e.denied[endpoint]
	e.mu.Unlock()
	if known && !up && !denied {
		e.rest(endpoint)
	}
}

// known returns which endpoints are up.
func (e *endpoints) known() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.up)
}
