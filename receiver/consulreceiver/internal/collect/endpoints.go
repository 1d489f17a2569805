// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// agentCondition is the condition of the agent as a whole.
const agentCondition = "the Consul agent"

// Limit says of what there may be how many.
type Limit struct {
	Object  metadata.AttributeObject
	Max     int
	Setting string // empty: it is Consul's own
}

// endpoints is what is known of the parts of the API.
type endpoints struct {
	mu     sync.Mutex
	up     map[string]bool   // whether the last use succeeded
	lost   map[string]bool   // those that last gave no answer at all
	beyond map[string]beyond // how many objects are beyond a limit
	partly map[string]bool   // whether the token does not show all
	stale  map[string]bool   // those that last had a stale answer

	services int // with instances, beyond their limit
}

// beyond is how many objects there are beyond a limit.
type beyond struct {
	object metadata.AttributeObject
	count  int
}

func (e *endpoints) init() {
	e.up, e.lost, e.beyond = map[string]bool{}, map[string]bool{}, map[string]beyond{}
	e.partly, e.stale = map[string]bool{}, map[string]bool{}
}

// SetEndpoint takes in the outcome of one use of an endpoint.
func (e *Env) SetEndpoint(endpoint string, err error) {
	e.endpoints.mu.Lock()
	e.endpoints.up[endpoint] = err == nil
	if consulapi.Unreachable(err) {
		e.endpoints.lost[endpoint] = true
	} else {
		delete(e.endpoints.lost, endpoint)
	}
	reached := len(e.endpoints.lost) == 0
	fresh := len(e.endpoints.stale) == 0
	if consulapi.IsStale(err) {
		e.endpoints.stale[endpoint] = true
	} else {
		delete(e.endpoints.stale, endpoint)
	}
	e.endpoints.mu.Unlock()
	if fresh && consulapi.IsStale(err) {
		// What the other endpoints know is as old, and a blocking query would show it
		// late only.
		e.epoch.next(e.epoch.present())
	}
	if consulapi.Unreachable(err) { // One line says it for all endpoints.
		e.Condition.Set(agentCondition, err)
		return
	}
	e.Condition.Set(e.label(endpoint), err)
	if err == nil && reached {
		e.Condition.Set(agentCondition, nil)
	}
}

// SkipEndpoints takes in that endpoints are not read, as Consul does not answer.
func (e *Env) SkipEndpoints(skipped ...string) {
	e.endpoints.mu.Lock()
	defer e.endpoints.mu.Unlock()
	for _, endpoint := range skipped {
		if e.endpoints.up[endpoint] {
			e.endpoints.up[endpoint] = false
		}
	}
}

// RestEndpoint takes in that an endpoint, which is read on demand, is not needed now: a
// failure of its last use is none any more.
func (e *Env) RestEndpoint(endpoint string) {
	e.endpoints.mu.Lock()
	delete(e.endpoints.up, endpoint)
	delete(e.endpoints.lost, endpoint)
	delete(e.endpoints.stale, endpoint)
	e.endpoints.mu.Unlock()
	e.Condition.Rest(e.label(endpoint))
}

// Up reports whether the last use of an endpoint succeeded.
func (e *Env) Up(endpoint string) bool {
	e.endpoints.mu.Lock()
	defer e.endpoints.mu.Unlock()
	return e.endpoints.up[endpoint]
}

// Stale reports whether the last answer of some endpoint was a stale one.
func (e *Env) Stale() bool {
	e.endpoints.mu.Lock()
	defer e.endpoints.mu.Unlock()
	return len(e.endpoints.stale) > 0
}

// Complete reports whether all objects of an endpoint are observed.
func (e *Env) Complete(endpoint string) bool {
	e.endpoints.mu.Lock()
	defer e.endpoints.mu.Unlock()
	return !e.endpoints.partly[endpoint] && e.endpoints.beyond[endpoint].count == 0
}

// SetBeyond takes in how many objects of an endpoint are beyond their limit.
func (e *Env) SetBeyond(endpoint string, limit Limit, count int) {
	if limit.Setting == "" {
		return
	}
	e.endpoints.mu.Lock()
	e.endpoints.beyond[endpoint] = beyond{limit.Object, count}
	e.endpoints.mu.Unlock()
	var err error
	if count > 0 {
		err = fmt.Errorf("%d of %d are not observed: raise it above %d", count, count+limit.Max, limit.Max)
	}
	e.Condition.Set(e.label(limit.Setting+" in "+endpoint), err)
}

// SetFiltered takes in whether the token does not show all objects of an endpoint.
func (e *Env) SetFiltered(endpoint string, filtered bool) {
	var err error
	if filtered {
		err = errors.New("the token does not show all there is: see Permissions in the receiver's README")
	}
	e.endpoints.mu.Lock()
	e.endpoints.partly[endpoint] = filtered
	e.endpoints.mu.Unlock()
	e.Condition.Set(e.label("view of "+endpoint), err)
}

// SetServicesBeyond takes in how many services with instances are beyond their
// limit.
func (e *Env) SetServicesBeyond(count int) {
	e.endpoints.mu.Lock()
	defer e.endpoints.mu.Unlock()
	e.endpoints.services = count
}

// states returns whether the last use of each endpoint succeeded.
func (e *endpoints) states() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.up)
}

// overLimit returns how many objects of each kind are beyond a limit.
func (e *endpoints) overLimit() map[metadata.AttributeObject]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	count := map[metadata.AttributeObject]int{}
	for _, b := range e.beyond {
		count[b.object] += b.count
	}
	count[metadata.AttributeObjectService] = max(count[metadata.AttributeObjectService], e.services)
	return count
}
