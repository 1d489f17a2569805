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

const (
	// pollEvery is how often it is checked whether a lease is to be queried.
	pollEvery = 50 * time.Millisecond

	// patience is how long a lease may be due before a list is to show which ones
	// have ended: one request for all, where there are more than the budget allows.
	patience = time.Second

	// listShare is how many times as long as a list took the next one waits at least,
	// unless it is time for it anyway: etcd sorts all leases for each.
	listShare = 20

	// refusedFor is how long a list that was refused is not tried again.
	refusedFor = time.Minute
)

// Known is what is known of leases, together with the keys that are attached to
// them.
type Known interface {
	// Ready says whether the keys are known: a lease that is gone is reported with
	// its keys.
	Ready() bool

	// DueLease returns the lease to query at now, if there is one, and whether others
	// are to wait for it.
	DueLease(now time.Time) (id int64, preferred, ok bool)

	// LeasesWait returns how long the lease has been due at now that has been longest.
	LeasesWait(now time.Time) time.Duration

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
	sooner time.Time     // when to list them if too many wait

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
		if ready && s.listDue(time.Now()) {
			if observed, ok := s.listAll(ctx); ok {
				return observed, nil
			}
		}
		if interrupted() {
			return Observation{}, nil
		}
		if id, preferred, due := s.known.DueLease(time.Now()); ready && due && s.mayQuery(preferred) {
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

// listDue says whether to list all leases at now: each interval, where the list is
// wanted, and when more leases are due than can be queried.
func (s *Source) listDue(now time.Time) bool {
	if s.config.Listed() && !now.Before(s.list) {
		s.list = now.Add(s.env.Interval)
		return true
	}
	if !s.config.Followed() || now.Before(s.sooner) {
		return false
	}
	if s.known.LeasesWait(now) > patience {
		return true
	}
	if !s.config.Listed() {
		s.env.Condition.Set(ListCondition, nil) // There is no need of one.
	}
	return false
}

// mayQuery says whether there is budget for a lease now. Half of it is for leases that
// are preferred, and for those of which it depends on the answer why their keys went.
func (s *Source) mayQuery(preferred bool) bool {
	return preferred || s.budget.Tokens() >= 1+float64(s.budget.Burst()/2)
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
	began := time.Now()
	list, err := s.env.API.Leases(ctx)
	took := time.Since(began)
	s.sooner = time.Now().Add(max(patience, listShare*took))
	s.lists.Store(err == nil)
	s.env.Condition.Set(ListCondition, s.explainList(err))
	if err != nil {
		if etcdapi.Denied(err) {
			s.sooner = time.Now().Add(refusedFor)
		}
		return Observation{}, false
	}
	s.env.ClusterID.CompareAndSwap(0, list.Cluster)
	s.known.RestoreLeases(ctx, list.Cluster)
	return Observation{
		Listed: true, IDs: list.IDs, Member: list.Member, Revision: list.Revision,
		Counted: !s.config.Followed(), Ends: !s.config.Listed(),
	}, true
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
func (s *Source) explainList(err error) error {
	switch {
	case etcdapi.Denied(err) && !s.config.Listed():
		return fmt.Errorf("%w: there are more leases than leases::requests_per_second allows to query in time, so why and when they end is reported late or unknown: raise it, or give the user read of all keys with leases, or the role root", err)
	case etcdapi.Denied(err):
		return fmt.Errorf("%w: the user needs read of all keys with leases, or the role root; or set leases::mode to watched", err)
	}
	return etcdapi.Explain(err)
}
