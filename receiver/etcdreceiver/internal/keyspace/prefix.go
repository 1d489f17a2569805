// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

// prefixWatcher observes the keys under one covering prefix.
type prefixWatcher struct {
	*Collector
	prefix      string
	label       string // the prefix, as it is reported
	checkpoints checkpointer

	clusterID uint64    // that the revision is of
	steppedID uint64    // that what was stepped last is of
	stepped   uint64    // index that raft had applied then
	revision  int64     // all changes up to it were observed; 0 before the first list
	late      int64     // the newest revision when the watch was opened
	history   int       // its number, of the collector's histories
	lost      bool      // changes after it cannot be read any more
	restored  bool      // as etcd has another history
	fresh     bool      // it is of a list of the present, and nothing was watched since
	read      time.Time // when what is to be reported was read; zero for just now
	keys      *stream   // nil while none is open
	begun     bool      // its keys are known, or cannot be
	refused   int       // times in a row that a member without a leader has ended it
}

// savedPrefix is what is stored of the keys under a prefix.
type savedPrefix struct {
	Cluster uint64
	Index   uint64 `json:",omitempty"` // that raft had applied
	Keys    Saved
}

func newPrefixWatcher(c *Collector, prefix string) *prefixWatcher {
	w := &prefixWatcher{Collector: c, prefix: prefix, label: cmp.Or(collect.Text(prefix), "all keys")}
	w.checkpoints = c.newCheckpointer(200*time.Millisecond, w.save)
	return w
}

func (w *prefixWatcher) run(ctx context.Context) {
	watch.Loop[Observation]{
		Next:      w.next,
		Step:      w.step,
		Delivery:  w.env.Delivery,
		Commit:    w.checkpoints.delivered,
		Condition: w.condition,
	}.Run(ctx)
	w.stop()
	w.checkpoints.end(context.WithoutCancel(ctx))
}

func (w *prefixWatcher) condition(err error) {
	w.mu.Lock()
	w.current[w.prefix] = err == nil
	w.mu.Unlock()
	w.env.Condition.Set(WatchOf+w.label, etcdapi.Explain(err))
	if known := err == nil || etcdapi.Denied(err); known && !w.begun {
		w.begun = true
		w.unlisted.Add(-1)
	}
}

// next lists the keys and then watches from the revision of the list on. After
// a failure it resumes where it was. When the changes in between are lost, it
// lists again.
func (w *prefixWatcher) next(ctx context.Context) (Observation, error) {
	w.read = time.Time{}
	if w.revision == 0 {
		return w.begin(ctx)
	}
	if w.overtaken() {
		return w.inAnotherHistory(ctx)
	}
	if w.lost {
		return w.list(ctx, nil, w.restored)
	}
	if w.keys == nil {
		var err error
		if w.keys, err = openStream(ctx, w.env, w.filter, w.config.Watch.PrevKV, w.prefix, w.revision+1, w.config.Watch.Queue); err != nil {
			return Observation{}, err
		}
	}
	read, err := w.keys.take(ctx, w.checkpoints.wait(), w.histories.next(w.history))
	switch {
	case w.overtaken():
		return w.inAnotherHistory(ctx)
	case errors.Is(err, errFull), errors.Is(err, etcdapi.ErrDisconnected):
		w.stop()
		return w.next(ctx)
	case w.env.API.AnotherMember(ctx, err, w.refused):
		w.refused++
		w.stop()
		return w.next(ctx)
	case err != nil:
		w.stop()
		if etcdapi.Compacted(err) {
			return w.bridge(ctx, w.revision, nil)
		}
		return Observation{}, err
	case read.opened:
		return w.opened(ctx, read)
	}
	w.refused = 0
	w.read = read.at
	w.revision = max(w.revision, read.revision)
	w.fresh = w.fresh && read.revision == 0
	observed := Observation{Prefix: w.prefix, Revision: w.revision, Changes: read.changes, Late: w.late}
	observed.Answers = w.resolve(ctx, read)
	return observed, nil
}

// resolve queries the leases that may have ended with the changes, or not.
func (w *prefixWatcher) resolve(ctx context.Context, read batch) []lease.Answer {
	if !w.config.Leases.Followed() || len(read.changes) == 0 {
		return nil
	}
	return w.leases.Resolve(ctx, func(limit int) []int64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.machine.Ambiguous(read.at, w.prefix, read.changes, limit)
	})
}

// opened takes in that a watch was opened. A revision below the known one is of
// a restored backup, or of a member that lags; the leader can tell. A watch on
// a member that lags waits until that has caught up. A grpc-proxy that opens a watch
// for several does not say of which cluster it is.
func (w *prefixWatcher) opened(ctx context.Context, b batch) (Observation, error) {
	cluster, newest := b.cluster, b.revision
	if cluster == 0 || cluster == w.clusterID && newest < w.revision {
		var err error
		if cluster, newest, err = w.env.API.Revision(ctx, w.prefix); err != nil {
			w.stop()
			return Observation{}, err
		}
	}
	restored := false
	if cluster == w.clusterID && newest >= w.revision {
		w.mu.Lock()
		known := w.machine.Newest(w.prefix)
		w.mu.Unlock()
		var err error
		if restored, err = w.isRestored(ctx, cluster, known, 0); err != nil {
			w.stop()
			return Observation{}, err
		}
	}
	if cluster != w.clusterID {
		w.stop()
		w.lost = true
		return w.list(ctx, nil, false)
	}
	if restored || newest < w.revision {
		return w.inAnotherHistory(ctx)
	}
	if w.late = newest; w.fresh {
		w.late = 0
	}
	return Observation{Prefix: w.prefix, Revision: w.revision}, nil
}

// isRestored reports whether etcd has another history than that of a change, and of
// what raft had applied.
func (w *prefixWatcher) isRestored(ctx context.Context, cluster uint64, known key.Change, index uint64) (bool, error) {
	same, err := w.env.API.SameHistory(ctx, cluster, w.prefix, etcdapi.Mark{Key: etcdapi.Key(known.Key), Deleted: known.Deleted, Index: index})
	return err == nil && !same, err
}

// overtaken reports whether another watch has found that etcd has another history.
func (w *prefixWatcher) overtaken() bool { return w.history != w.histories.number() }

// inAnotherHistory lists the keys in another history than that which is known.
func (w *prefixWatcher) inAnotherHistory(ctx context.Context) (Observation, error) {
	w.stop()
	w.leaveHistory()
	w.lost, w.restored = true, true
	return w.list(ctx, nil, true)
}

// leaveHistory takes in that etcd has another history than that which is known, and that
// raft counts anew: its indexes of before would show another history once more.
func (w *prefixWatcher) leaveHistory() {
	w.history = w.histories.after(w.history)
	w.env.Applied.Forget()
}

// begin lists the keys for the first time: as they were when an earlier process
// stopped, if they are to be followed from there, so that nothing is missed.
func (w *prefixWatcher) begin(ctx context.Context) (Observation, error) {
	var saved savedPrefix
	if w.config.Watch.Start != StartLatest {
		saved, _ = w.slot().Load(ctx)
	}
	stored := saved.Keys.Revision > 0
	if !stored {
		w.history = w.histories.number()
	}
	if !stored && w.config.Stored {
		w.env.Settings.Logger.Info("nothing is stored of the keys under a prefix: they are followed from now on, or from watch::revision", zap.String("prefix", w.label))
	}
	if !stored && w.config.Watch.Start == StartRevision {
		saved.Keys.Revision = max(1, w.config.Watch.Revision-1)
	}
	if saved.Keys.Revision == 0 {
		return w.list(ctx, nil, false)
	}
	if stored {
		restored, err := w.isRestored(ctx, saved.Cluster, saved.Keys.Newest.change(), saved.Index)
		if err != nil {
			return Observation{}, err
		}
		if restored {
			w.leaveHistory()
			return w.list(ctx, &saved, true)
		}
	}
	observed, cluster, err := w.filter.list(ctx, w.env.API, w.prefix, saved.Keys.Revision)
	switch {
	case etcdapi.FutureRevision(err) && !stored:
		w.env.Settings.Logger.Warn("watch::revision is not there yet, the watch begins in the present", zap.Int64("revision", w.config.Watch.Revision))
		return w.list(ctx, nil, false)
	case etcdapi.Compacted(err):
		return w.bridge(ctx, saved.Keys.Revision, &saved)
	case etcdapi.FutureRevision(err):
		w.leaveHistory()
		return w.list(ctx, &saved, true)
	case err != nil:
		return Observation{}, err
	case !w.isOf(cluster, saved):
		return w.list(ctx, nil, false)
	}
	w.listed(ctx, cluster, observed.Revision)
	observed.Saved = &saved.Keys
	return observed, nil
}

// isOf says whether what was saved is of the cluster, and warns if it is not.
func (w *prefixWatcher) isOf(cluster uint64, saved savedPrefix) bool {
	if saved.Cluster == 0 || saved.Cluster == cluster {
		return true
	}
	w.env.Settings.Logger.Warn("the storage is of another cluster, and is not used: the watch begins in the present",
		zap.String("prefix", w.label), zap.String("stored", collect.Hex(saved.Cluster)), zap.String("now", collect.Hex(cluster)))
	return false
}

// bridge lists the keys as they were at the oldest revision that can be read, as
// those after the known one were compacted: what came later is still there.
func (w *prefixWatcher) bridge(ctx context.Context, known int64, saved *savedPrefix) (Observation, error) {
	oldest, err := w.env.API.OldestRevision(ctx, w.prefix, known)
	if err != nil {
		return Observation{}, err
	}
	observed, cluster, err := w.filter.list(ctx, w.env.API, w.prefix, oldest)
	if err != nil {
		return Observation{}, err // It may have been compacted meanwhile, too.
	}
	if w.clusterID != 0 && w.clusterID != cluster || saved != nil && !w.isOf(cluster, *saved) {
		return w.list(ctx, nil, false)
	}
	if saved != nil {
		observed.Saved = &saved.Keys
	}
	w.listed(ctx, cluster, observed.Revision)
	w.fresh = false
	return observed, nil
}

// list lists the keys as they are now, after what an earlier process knew, if
// any, and in another history than that, if it was restored.
func (w *prefixWatcher) list(ctx context.Context, saved *savedPrefix, restored bool) (Observation, error) {
	observed, cluster, err := w.filter.list(ctx, w.env.API, w.prefix, 0)
	if err != nil {
		return Observation{}, err
	}
	if saved != nil && w.isOf(cluster, *saved) {
		observed.Saved = &saved.Keys
	}
	if observed.Another = w.clusterID != 0 && w.clusterID != cluster; observed.Another {
		observed.Former, observed.Cluster = collect.Hex(w.clusterID), collect.Hex(cluster)
	}
	observed.Restored = restored && !observed.Another
	w.listed(ctx, cluster, observed.Revision)
	w.lost, w.restored, w.fresh = false, false, true
	return observed, nil
}

func (w *prefixWatcher) listed(ctx context.Context, cluster uint64, revision int64) {
	if before := w.env.ClusterID.Swap(cluster); before != 0 && before != cluster {
		w.env.Settings.Logger.Warn("etcd is another cluster than before", zap.String("before", collect.Hex(before)), zap.String("now", collect.Hex(cluster)))
	}
	w.clusterID, w.revision, w.late = cluster, revision, 0
	w.RestoreLeases(ctx, cluster)
}

func (w *prefixWatcher) stop() {
	if w.keys != nil {
		w.keys.stop()
		w.keys = nil
	}
}

// step takes in what happened when it was read, however long it was queued.
func (w *prefixWatcher) step(now time.Time, observed Observation) watch.Telemetry {
	at := now
	if !w.read.IsZero() {
		at = w.read
	}
	w.steppedID, w.stepped = w.clusterID, w.env.Applied.Of(w.clusterID)
	var restores int
	effects := w.Collector.step(&w.checkpoints, func(m *Machine) []Effect {
		effects := m.Step(at, observed)
		restores = m.Restores(w.prefix)
		return effects
	})
	return w.render(now, at, w.clusterID, restores, effects)
}

func (w *prefixWatcher) save(ctx context.Context) bool {
	w.mu.Lock()
	saved, ok := w.machine.Save(w.prefix)
	w.mu.Unlock()
	return !ok || w.slot().Save(ctx, savedPrefix{w.steppedID, w.stepped, saved}) == nil
}

func (w *prefixWatcher) slot() checkpoint.Slot[savedPrefix] {
	return collect.Slot[savedPrefix](w.env, fmt.Sprintf("keys/%x", w.prefix), w.label)
}
