// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	endpointPolicies = "sys/policies/acl"
	endpointPolicy   = "sys/policies/acl/*"

	// maxPolicies is how many policies are read at most.
	maxPolicies = 1000

	// policiesPerSecond is how many are read in a second at least: as many as it
	// takes to read all in half of the interval, if those are more.
	policiesPerSecond = 10
)

func newPolicies(w *watcher) domain {
	reader := &policyReader{w: w, every: w.cfg.Policies.Interval, turned: w.turns(), denied: map[string]int{}}
	return &topic[state.Policies]{
		w: w, endpoint: endpointPolicies, also: []string{endpointPolicy}, every: w.cfg.Policies.Interval, stored: "policies",
		read:    reader.read,
		measure: telemetry.RecordPolicies,
		tell: func(observed time.Time, c change[state.Policies]) watch.Telemetry {
			return w.story.RenderPolicies(observed, c.at, c.resource, c.before.Compare(c.after), c.reconciled)
		},
	}
}

// policyReader reads the policies one by one.
type policyReader struct {
	w      *watcher
	every  time.Duration
	turned <-chan struct{}
	denied map[string]int // how many times more a policy is left out, as it may not be read
}

// read lists the policies, and reads those that are followed. One that may not be
// read fails no other: only when none may, it is told.
func (r *policyReader) read(ctx context.Context) (state.Policies, error) {
	names, err := r.w.client.list(ctx, call{endpoint: endpointPolicies})
	if err != nil {
		return state.Policies{}, err
	}
	select {
	case <-r.turned:
		clear(r.denied) // There may be another token.
	default:
	}
	policies := state.ListedPolicies(names, maxPolicies)
	followed := policies.Followed()
	pace := rate.NewLimiter(policyPace(len(followed), r.every), 1)
	denied := map[string]int{}
	var denial error
	known := false
	for _, name := range followed {
		if left := r.denied[name]; left > 0 {
			denied[name] = left - 1
			continue
		}
		if err := pace.Wait(ctx); err != nil {
			return state.Policies{}, err
		}
		rules, err := r.w.client.Policy(ctx, name)
		switch {
		case err == nil:
			policies.Read(name, rules)
			known = true
		case errors.Is(err, errDenied):
			denial, denied[name] = err, deniedEvery-1
		case isAbsent(err):
			policies.Without(name)
		default:
			return state.Policies{}, err
		}
	}
	r.denied = denied
	r.report(known, denial)
	return policies, nil
}

// policyPace is how many of n policies are read in a second.
func policyPace(n int, every time.Duration) rate.Limit {
	return rate.Limit(max(policiesPerSecond, 2*float64(n)/every.Seconds()))
}

func (r *policyReader) report(known bool, denial error) {
	switch {
	case known:
		r.w.endpoints.set(time.Now(), endpointPolicy, nil)
	case denial != nil:
		r.w.endpoints.set(time.Now(), endpointPolicy, denial)
	}
}

// Policy returns the rules of a policy, which must not be told.
func (c *client) Policy(ctx context.Context, name string) (rules string, err error) {
	var answer struct {
		Data struct {
			Policy *string `json:"policy" answer:"required"` // That of root is empty.
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpointPolicy, path: endpointPolicies + "/" + name}, &answer); err != nil {
		return "", err
	}
	return *answer.Data.Policy, nil
}
