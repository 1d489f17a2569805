// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

// The names of the conditions of leases.
const (
	QueryCondition = "leases"
	ListCondition  = "list of leases"
)

// pollEvery is how often it is checked whether a lease is to be queried. A lease that
// goes after it could expire and before it was queried again is taken for expired, so
// this is short.
const pollEvery = 50 * time.Millisecond

// Known is what is known of leases, together with the keys that are attached to
// them.
type Known interface {
	// Ready says whether the keys are known: a lease that is gone is reported with
	// its keys.
	Ready() bool

	// DueLease returns the lease to query at now, if there is one.
	DueLease(now time.Time) (id int64, ok bool)

	// RestoreLeases goes on from what an earlier process saved of the cluster, before
	// anything is observed of it.
	RestoreLeases(ctx context.Context, cluster uint64)
}

// Source reads leases from etcd.
type Source struct {
	env    *collect.Env
	config Config
	known  Known
	budget *rate.Limiter // of requests about single leases
	list   time.Time     // when to list them

	queries, lists atomic.Bool // they succeed
}

// NewSource returns a Source of the leases that known knows.
func NewSource(e *collect.Env, c Config, known Known) *Source {
	s := &Source{
		env: e, config: c, known: known, list: time.Now(),
		budget: rate.NewLimiter(rate.Limit(c.RequestsPerSecond), max(1, int(c.RequestsPerSecond))),
	}
	s.queries.Store(c.Mode == ModeWatched) // A lease that keys are attached to is known with them.
	return s
}

// Next waits until the keys are known. Then it lists the leases, where that is wanted
// and its time has come, or queries the one whose turn it is, within the budget. It
// returns an empty observation when interrupted returns true.
func (s *Source) Next(ctx context.Context, interrupted func() bool) (Observation, error) {
	for {
		ready := s.known.Ready()
		if now := time.Now(); ready && s.config.Listed() && !now.Before(s.list) {
			s.list = now.Add(s.env.Interval)
			if observed, ok := s.listAll(ctx); ok {
				return observed, nil
			}
		}
		if interrupted() {
			return Observation{}, nil
		}
		if id, due := s.known.DueLease(time.Now()); ready && due {
			if err := s.budget.Wait(ctx); err != nil {
				return Observation{}, err
			}
			answer, err := s.query(ctx, id)
			return Observation{Answers: []Answer{answer}}, err
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return Observation{}, ctx.Err()
		}
	}
}

// Condition takes in the outcome of Next.
func (s *Source) Condition(err error) {
	s.queries.Store(err == nil)
	s.env.Condition.Set(QueryCondition, etcdapi.Explain(err))
}

// Current says whether the leases that are known are up to date, as far as they
// are read here.
func (s *Source) Current() bool { return s.queries.Load() && (!s.config.Listed() || s.lists.Load()) }

// listAll lists all leases. That has a condition of its own: single leases can be
// queried without it.
func (s *Source) listAll(ctx context.Context) (Observation, bool) {
	ids, cluster, err := s.env.API.Leases(ctx)
	s.lists.Store(err == nil)
	s.env.Condition.Set(ListCondition, explainList(err))
	if err != nil {
		return Observation{}, false
	}
	s.env.ClusterID.CompareAndSwap(0, cluster)
	s.known.RestoreLeases(ctx, cluster)
	return Observation{Listed: true, IDs: ids, Counted: !s.config.Followed()}, true
}

// Resolve queries leases that may have ended, of those that ambiguous returns at most
// so many, as far as the budget allows. What it does not learn stays unknown.
func (s *Source) Resolve(ctx context.Context, ambiguous func(limit int) []int64) (answers []Answer) {
	for _, id := range ambiguous(s.budget.Burst()) {
		if !s.budget.Allow() {
			break
		}
		answer, err := s.query(ctx, id)
		if err != nil {
			break // The next one would fail, too, and the changes wait.
		}
		answers = append(answers, answer)
	}
	return answers
}

func (s *Source) query(ctx context.Context, id int64) (Answer, error) {
	answer, cluster, err := s.env.API.Lease(ctx, id)
	if err == nil {
		s.env.ClusterID.CompareAndSwap(0, cluster)
	}
	return Answer(answer), err
}

// explainList says what to do about a refusal of the list of leases.
func explainList(err error) error {
	if etcdapi.Denied(err) {
		return fmt.Errorf("%w: the user needs read of all keys with leases, or the role root; or set leases::mode to watched", err)
	}
	return etcdapi.Explain(err)
}
