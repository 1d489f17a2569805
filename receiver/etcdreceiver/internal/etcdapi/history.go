// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Mark is what is remembered of etcd's history to know it again: a backup that was
// restored has other changes at the same revisions, once new ones have overtaken it.
type Mark struct {
	Key     Key    // of the newest change that is known; of a deleted one Name and Modified; none without a name
	Deleted bool   // the change has deleted it
	Index   uint64 // that raft had applied; 0 when not known
}

// Applied is the largest index that raft has applied on any member of a cluster. A
// backup that is restored begins with a small one. Its zero value knows none.
type Applied struct {
	mu      sync.Mutex
	cluster uint64
	index   uint64
}

// observe takes in what a member reports.
func (a *Applied) observe(cluster, index uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if cluster != a.cluster {
		a.cluster, a.index = cluster, 0
	}
	a.index = max(a.index, index)
}

// Forget forgets the history that it was of.
func (a *Applied) Forget() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index = 0
}

// Of returns the index of a cluster, or 0.
func (a *Applied) Of(cluster uint64) uint64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if cluster != a.cluster {
		return 0
	}
	return a.index
}

// SameHistory reports whether etcd, of a cluster, has the history of a mark, unless it
// shows that it has another one.
func (c *Client) SameHistory(ctx context.Context, cluster uint64, prefix string, mark Mark) (same bool, err error) {
	index := max(mark.Index, c.options.Applied.Of(cluster))
	var member uint64
	err = c.do(ctx, requestHistory, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		same, member, err = hasChange(ctx, etcd, prefix, mark)
		return err
	})
	if err == nil && same {
		same = c.hasApplied(ctx, cluster, member, index)
	}
	if err == nil && !same {
		c.options.Applied.Forget()
	}
	return same && err == nil, err
}

// hasApplied reports whether a member has applied an index of raft's, unless it shows
// that it has not. It has just read what the leader has committed, so it has applied all
// of that. To get at the same one again takes as many requests as there are members.
func (c *Client) hasApplied(ctx context.Context, cluster, member, index uint64) bool {
	for range len(c.config.Endpoints) + 1 {
		status, err := c.Status(ctx)
		if err != nil || status.Cluster != cluster {
			return true
		}
		if status.ID == member {
			return status.RaftAppliedIndex >= index
		}
	}
	return true
}

// hasChange reports whether etcd has the change of a mark, unless it is compacted, and
// which member says so.
func hasChange(ctx context.Context, etcd *clientv3.Client, prefix string, mark Mark) (has bool, member uint64, err error) {
	ctx = clientv3.WithRequireLeader(ctx)
	if mark.Key.Name == "" {
		answer, err := etcd.Get(ctx, firstOf(prefix), clientv3.WithCountOnly())
		if err != nil {
			return false, 0, err
		}
		return true, answer.Header.MemberId, nil
	}
	at := func(revision int64) (*clientv3.GetResponse, error) {
		return etcd.Get(ctx, mark.Key.Name, clientv3.WithRev(revision))
	}
	answer, err := at(mark.Key.Modified)
	compacted := errors.Is(err, rpctypes.ErrCompacted)
	if compacted {
		answer, err = at(0)
	}
	if errors.Is(err, rpctypes.ErrFutureRev) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	member = answer.Header.MemberId
	changed := slices.ContainsFunc(answer.Kvs, func(kv *mvccpb.KeyValue) bool { return kv.ModRevision != mark.Key.Modified })
	switch {
	case compacted && len(answer.Kvs) > 0 && changed && answer.Kvs[0].ModRevision < mark.Key.Modified:
		return false, member, nil // It is older again.
	case compacted:
		return true, member, nil // or it was changed later
	case mark.Deleted && len(answer.Kvs) > 0, !mark.Deleted && len(answer.Kvs) == 0, changed:
		return false, member, nil
	case !mark.Deleted:
		kv := answer.Kvs[0]
		return kv.CreateRevision == mark.Key.Created && kv.Version == mark.Key.Version && kv.Lease == mark.Key.Lease, member, nil
	}
	before, err := at(mark.Key.Modified - 1)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return true, member, nil
	}
	if err != nil {
		return false, 0, err
	}
	return len(before.Kvs) > 0, member, nil
}
