// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
)

// follower follows the keys under one covering prefix.
type follower struct {
	*watcher
	prefix string
	label  string // the prefix, as it is said
	keeper keeper

	clusterID uint64    // that the revision is of
	steppedID uint64    // that what was stepped last is of
	revision  int64     // all changes up to it were observed; 0 before the first list
	late      int64     // the newest revision when the watch was opened
	lost      bool      // changes after it cannot be read any more
	fresh     bool      // it is of a list of the present, and nothing was watched since
	read      time.Time // when what is to be told was read; zero for just now
	keys      *stream   // nil while none is open
	begun     bool      // its keys are known, or cannot be
	refused   int       // times in a row that a member without a leader has ended it
}

// checkpointed is what is kept of the keys under a prefix.
type checkpointed struct {
	Cluster uint64
	Keys    keyspace.Saved
}

func newFollower(w *watcher, prefix string) *follower {
	f := &follower{watcher: w, prefix: prefix, label: strings.ToValidUTF8(prefix, "\uFFFD")}
	f.keeper = w.newKeeper(200*time.Millisecond, f.keep)
	return f
}

func (f *follower) run(ctx context.Context) {
	watch.Loop[keyspace.Observation]{
		Next:      f.next,
		Step:      f.step,
		Delivery:  f.Delivery(),
		Commit:    f.keeper.delivered,
		Condition: f.condition,
	}.Run(ctx)
	f.stop()
	f.keeper.end(context.WithoutCancel(ctx))
}

func (f *follower) condition(err error) {
	f.saw(f.prefix, err)
	f.Condition.Set(watchOf+f.label, etcdapi.Explain(err))
	if known := err == nil || etcdapi.Denied(err); known && !f.begun {
		f.begun = true
		f.unlisted.Add(-1)
	}
}

// next lists the keys and then watches from the revision of the list on. After
// a failure it resumes where it was. When the changes in between are lost, it
// lists again.
func (f *follower) next(ctx context.Context) (keyspace.Observation, error) {
	f.read = time.Time{}
	if f.revision == 0 {
		return f.begin(ctx)
	}
	if f.lost {
		return f.list(ctx, nil)
	}
	if f.keys == nil {
		var err error
		if f.keys, err = openStream(ctx, f.env, f.pick, f.prefix, f.revision+1, f.cfg.Watch.Queue); err != nil {
			return keyspace.Observation{}, err
		}
	}
	read, err := f.keys.take(ctx, f.keeper.wait())
	switch {
	case errors.Is(err, errFull):
		f.stop()
		return f.next(ctx)
	case f.env.API.AnotherMember(ctx, err, f.refused):
		f.refused++
		f.stop()
		return f.next(ctx)
	case err != nil:
		f.stop()
		if etcdapi.Compacted(err) {
			return f.bridge(ctx, f.revision, nil)
		}
		return keyspace.Observation{}, err
	case read.opened:
		return f.opened(ctx, read)
	}
	f.read = read.at
	f.revision = max(f.revision, read.revision)
	f.fresh = f.fresh && read.revision == 0
	observed := keyspace.Observation{Prefix: f.prefix, Revision: f.revision, Changes: read.changes, Late: f.late}
	observed.Answers = f.askDoubtful(ctx, read.at, f.prefix, read.changes)
	return observed, nil
}

// opened takes in that a watch was opened. A revision below the known one is of
// a restored backup, or of a member that lags; the leader can tell. A watch on
// a member that lags waits until that has caught up. A grpc-proxy that opens a watch
// for several does not say of which cluster it is.
func (f *follower) opened(ctx context.Context, b batch) (keyspace.Observation, error) {
	f.refused = 0
	cluster, newest := b.cluster, b.revision
	if cluster == 0 || cluster == f.clusterID && newest < f.revision {
		var err error
		if cluster, newest, err = f.env.API.Revision(ctx, f.prefix); err != nil {
			f.stop()
			return keyspace.Observation{}, err
		}
	}
	if cluster != f.clusterID || newest < f.revision {
		f.stop()
		f.lost = true
		return f.list(ctx, nil)
	}
	if f.late = newest; f.fresh {
		f.late = 0
	}
	return keyspace.Observation{Prefix: f.prefix, Revision: f.revision}, nil
}

// begin lists the keys for the first time: as they were when an earlier process
// stopped, if they are to be followed from there, so that nothing is missed.
func (f *follower) begin(ctx context.Context) (keyspace.Observation, error) {
	var kept checkpointed
	if f.cfg.Watch.Start != StartLatest {
		found, err := f.env.Store.Load(ctx, f.key(), &kept)
		f.Condition.Set(storageOf+f.label, err)
		if !found {
			kept = checkpointed{}
		}
	}
	stored := kept.Keys.Revision > 0
	if !stored && f.cfg.Storage != nil {
		f.settings.Logger.Info("nothing is stored of the keys under a prefix: they are followed from now on, or from watch::revision", zap.String("prefix", f.label))
	}
	if !stored && f.cfg.Watch.Start == StartRevision {
		kept.Keys.Revision = max(1, f.cfg.Watch.Revision-1)
	}
	if kept.Keys.Revision == 0 {
		return f.list(ctx, nil)
	}
	observed, cluster, err := list(ctx, f.env.API, f.pick, f.prefix, kept.Keys.Revision)
	switch {
	case etcdapi.FutureRevision(err) && !stored:
		f.settings.Logger.Warn("watch::revision is not there yet, the watch begins in the present", zap.Int64("revision", f.cfg.Watch.Revision))
		return f.list(ctx, nil)
	case etcdapi.Compacted(err):
		return f.bridge(ctx, kept.Keys.Revision, &kept)
	case etcdapi.FutureRevision(err):
		return f.list(ctx, &kept)
	case err != nil:
		return keyspace.Observation{}, err
	case !f.isOf(cluster, kept):
		return f.list(ctx, nil)
	}
	f.listed(ctx, cluster, observed.Revision)
	observed.Saved = &kept.Keys
	return observed, nil
}

// isOf says whether what was kept is of the cluster, and warns if it is not.
func (f *follower) isOf(cluster uint64, kept checkpointed) bool {
	if kept.Cluster == 0 || kept.Cluster == cluster {
		return true
	}
	f.settings.Logger.Warn("the storage is of another cluster, and is not used: the watch begins in the present",
		zap.String("prefix", f.label), zap.String("stored", collect.Hex(kept.Cluster)), zap.String("now", collect.Hex(cluster)))
	return false
}

// bridge lists the keys as they were at the oldest revision that can be read, as
// those after the known one were compacted: what came later is still there.
func (f *follower) bridge(ctx context.Context, known int64, kept *checkpointed) (keyspace.Observation, error) {
	oldest, err := f.env.API.OldestRevision(ctx, f.prefix, known)
	if err != nil {
		return keyspace.Observation{}, err
	}
	observed, cluster, err := list(ctx, f.env.API, f.pick, f.prefix, oldest)
	if err != nil {
		return keyspace.Observation{}, err // It may have been compacted meanwhile, too.
	}
	if f.clusterID != 0 && f.clusterID != cluster || kept != nil && !f.isOf(cluster, *kept) {
		return f.list(ctx, nil)
	}
	if kept != nil {
		observed.Saved = &kept.Keys
	}
	f.listed(ctx, cluster, observed.Revision)
	f.fresh = false
	return observed, nil
}

// list lists the keys as they are now, after what an earlier process knew, if
// any.
func (f *follower) list(ctx context.Context, kept *checkpointed) (keyspace.Observation, error) {
	observed, cluster, err := list(ctx, f.env.API, f.pick, f.prefix, 0)
	if err != nil {
		return keyspace.Observation{}, err
	}
	if kept != nil && f.isOf(cluster, *kept) {
		observed.Saved = &kept.Keys
	}
	observed.Another = f.clusterID != 0 && f.clusterID != cluster
	f.listed(ctx, cluster, observed.Revision)
	f.lost, f.fresh = false, true
	return observed, nil
}

func (f *follower) listed(ctx context.Context, cluster uint64, revision int64) {
	if before := f.env.ClusterID.Swap(cluster); before != 0 && before != cluster {
		f.settings.Logger.Warn("etcd is another cluster than before", zap.String("before", collect.Hex(before)), zap.String("now", collect.Hex(cluster)))
	}
	f.clusterID, f.revision, f.late = cluster, revision, 0
	f.restoreLeases(ctx, cluster)
}

func (f *follower) stop() {
	if f.keys != nil {
		f.keys.stop()
		f.keys = nil
	}
}

// step takes in what happened when it was read, however long it was queued.
func (f *follower) step(now time.Time, observed keyspace.Observation) watch.Telemetry {
	at := now
	if !f.read.IsZero() {
		at = f.read
	}
	f.steppedID = f.clusterID
	return f.render(now, at, f.clusterID, f.stepMachine(&f.keeper, func(m *keyspace.Machine) []keyspace.Effect { return m.Step(at, observed) }))
}

func (f *follower) keep(ctx context.Context) bool {
	f.mu.Lock()
	saved, ok := f.machine.Save(f.prefix)
	f.mu.Unlock()
	if !ok {
		return true
	}
	err := f.env.Store.Save(ctx, f.key(), checkpointed{f.steppedID, saved})
	f.Condition.Set(storageOf+f.label, err)
	return err == nil
}

func (f *follower) key() string { return fmt.Sprintf("keys/%x", f.prefix) }
