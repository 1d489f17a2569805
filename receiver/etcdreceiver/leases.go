// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"fmt"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

const (
	// keyLeases is the key under which leases are kept.
	keyLeases = "leases"

	// lookEvery is how often it is looked whether a lease is to be asked for. A
	// lease that goes after it could expire and before it was asked for again
	// is taken for expired, so this is short.
	lookEvery = 50 * time.Millisecond
)

// each says whether leases are followed one by one.
func (c LeasesConfig) each() bool { return c.Mode == LeasesWatched || c.Mode == LeasesAll }

// listed says whether etcd is asked for a list of all.
func (c LeasesConfig) listed() bool { return c.Mode == LeasesCount || c.Mode == LeasesAll }

// leaseFollower asks etcd for leases.
type leaseFollower struct {
	*watcher
	keeper keeper
	list   time.Time // when to list them
}

func newLeaseFollower(w *watcher) *leaseFollower {
	l := &leaseFollower{watcher: w, list: time.Now()}
	l.keeper = w.newKeeper(5*time.Second, l.keep)
	return l
}

func (l *leaseFollower) run(ctx context.Context) {
	watch.Loop[lease.Observation]{
		Next:     l.next,
		Step:     l.step,
		Delivery: l.Delivery(),
		Commit:   l.keeper.delivered,
		Condition: func(err error) {
			l.saw(leasesAsked, err)
			l.Condition.Set(leasesAsked, etcdapi.Explain(err))
		},
	}.Run(ctx)
}

// end keeps the leases once all loops have ended: what those of keys tell is of
// leases, too.
func (l *leaseFollower) end(ctx context.Context) {
	l.keeper.pending = l.keeper.pending || l.keeper.keep != nil && l.restored
	l.keeper.end(ctx)
}

// next waits until the keys are known, as a lease that is gone is told with its
// keys. Then it lists the leases, where that is wanted and its time has come, or asks
// for the one whose turn it is, within the budget.
func (l *leaseFollower) next(ctx context.Context) (lease.Observation, error) {
	for {
		known := l.unlisted.Load() == 0
		if now := time.Now(); known && l.cfg.Leases.listed() && !now.Before(l.list) {
			l.list = now.Add(l.cfg.Scrape.CollectionInterval)
			ids, cluster, err := l.env.API.Leases(ctx)
			// Its own condition: single leases can be asked for without it.
			l.saw(leasesList, err)
			l.Condition.Set(leasesList, explainLeases(err))
			if err == nil {
				l.env.ClusterID.CompareAndSwap(0, cluster)
				l.restoreLeases(ctx, cluster)
				return lease.Observation{Listed: true, IDs: ids, Counted: !l.cfg.Leases.each()}, nil
			}
		}
		if l.keeper.overdue() {
			return lease.Observation{}, nil // to keep what was told
		}
		if id, ok := l.due(); known && ok {
			if err := l.asking.Wait(ctx); err != nil {
				return lease.Observation{}, err
			}
			answer, err := l.askLease(ctx, id)
			return lease.Observation{Answers: []lease.Answer{answer}}, err
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return lease.Observation{}, ctx.Err()
		}
	}
}

// due returns the lease to ask for, if it is time for one.
func (l *leaseFollower) due() (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.machine.DueLease(time.Now())
}

func (l *leaseFollower) step(now time.Time, observed lease.Observation) watch.Telemetry {
	effects := l.stepMachine(&l.keeper, func(m *keyspace.Machine) []keyspace.Effect { return m.StepLeases(now, observed) })
	return l.render(now, now, l.env.ClusterID.Load(), effects)
}

// keep stores the leases, but not while one has ended that was not told yet: a
// loop that follows keys may have found that out.
func (l *leaseFollower) keep(ctx context.Context) bool {
	l.mu.Lock()
	if l.untold > 0 {
		l.mu.Unlock()
		return false
	}
	kept := checkpointedLeases{l.env.ClusterID.Load(), l.machine.SaveLeases()}
	l.mu.Unlock()
	err := l.env.Store.Save(ctx, keyLeases, kept)
	l.Condition.Set(storageOf+keyLeases, err)
	return err == nil
}

// checkpointedLeases is what is kept of the leases.
type checkpointedLeases struct {
	Cluster uint64
	Leases  []lease.Saved
}

// restoreLeases goes on from what an earlier process kept of the cluster, before
// the first step.
func (w *watcher) restoreLeases(ctx context.Context, cluster uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.restored || !w.cfg.Leases.each() {
		return
	}
	w.restored = true
	if w.cfg.Watch.Start == StartLatest {
		return
	}
	var kept checkpointedLeases
	found, err := w.env.Store.Load(ctx, keyLeases, &kept)
	w.Condition.Set(storageOf+keyLeases, err)
	if found && err == nil && kept.Cluster == cluster {
		w.machine.RestoreLeases(time.Now(), kept.Leases)
	}
}

// askDoubtful asks for the leases that may have ended with changes, which were
// read at a time, as far as the budget allows. What it does not learn stays
// unknown.
func (w *watcher) askDoubtful(ctx context.Context, at time.Time, prefix string, changes []key.Change) (answers []lease.Answer) {
	if !w.cfg.Leases.each() || len(changes) == 0 {
		return nil
	}
	w.mu.Lock()
	doubtful := w.machine.Ambiguous(at, prefix, changes, w.asking.Burst())
	w.mu.Unlock()
	for _, id := range doubtful {
		if !w.asking.Allow() {
			break
		}
		answer, err := w.askLease(ctx, id)
		if err != nil {
			break // The next one would fail, too, and the changes wait.
		}
		answers = append(answers, answer)
	}
	return answers
}

func (w *watcher) askLease(ctx context.Context, id int64) (lease.Answer, error) {
	answer, cluster, err := w.env.API.Lease(ctx, id)
	if err == nil {
		w.env.ClusterID.CompareAndSwap(0, cluster)
	}
	return lease.Answer(answer), err
}

// explainLeases says what to do about a refusal of the list of leases.
func explainLeases(err error) error {
	if etcdapi.Denied(err) {
		return fmt.Errorf("%w: the user needs read of all keys with leases, or the role root; or set leases::mode to watched", err)
	}
	return etcdapi.Explain(err)
}
