// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"cmp"
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// pageSize is how many bytes a page of a list should have, as values come
	// along: etcd returns a key's lease and length only with its value.
	pageSize = 4 << 20

	// firstPage and largestPage are numbers of keys. The values of the next page
	// can be larger than those before, so a page is at most twice as long, and not
	// again as long as one that could not be read in time. Where that was the first
	// one, the next list begins with fewer.
	firstPage   = 50
	largestPage = 10_000
)

// Key is one key. Its value is not.
type Key struct {
	Name     string
	Created  int64 // revision at which it was created
	Modified int64 // revision of its last change
	Version  int64 // number of changes since it was created; 0 when not known
	Lease    int64 // 0 for none
	Size     int   // length of the value
}

func keyOf(kv *mvccpb.KeyValue) Key {
	return Key{
		Name:     string(kv.Key),
		Created:  kv.CreateRevision,
		Modified: kv.ModRevision,
		Version:  kv.Version,
		Lease:    kv.Lease,
		Size:     len(kv.Value),
	}
}

// Listed is what a list of keys is of.
type Listed struct {
	Cluster  uint64
	Revision int64
	More     int // keys that it leaves out, all after the last one
}

// List reads the keys under a prefix, in the order of their names, as they are at a
// revision, or 0 for the newest. take gets each key, and returns whether there is
// room for more; without it, the list ends with the page that it is on.
func (c *Client) List(ctx context.Context, prefix string, revision int64, take func(Key) (more bool)) (Listed, error) {
	listed := Listed{Revision: revision}
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix))
	first, most := int(c.firstPage.Load()), largestPage
	begin := firstOf(prefix)
	for from, page := begin, first; ; {
		var answer *clientv3.GetResponse
		err := c.do(ctx, requestList, func(ctx context.Context, etcd *clientv3.Client) (err error) {
			answer, err = etcd.Get(clientv3.WithRequireLeader(ctx), from, end, clientv3.WithRev(listed.Revision), clientv3.WithLimit(int64(page)))
			return err
		})
		if errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.ResourceExhausted {
			fewer := max(1, page/8) // The values there may be large.
			if page > first {
				page, most = max(first, fewer), page/2
				continue
			}
			c.firstPage.CompareAndSwap(int64(first), int64(fewer))
		}
		if err != nil {
			return Listed{}, err
		}
		if listed.Cluster = cmp.Or(listed.Cluster, answer.Header.ClusterId); listed.Cluster != answer.Header.ClusterId {
			return Listed{}, ErrAnotherCluster
		}
		if listed.Revision == 0 {
			listed.Revision = answer.Header.Revision
		}
		if from != begin && (answer.Count != int64(listed.More) || string(answer.Kvs[0].Key) < from) {
			return Listed{}, &lackError{etcdserverpb.KV_Range_FullMethodName, "the keys of the next page"}
		}
		size, more := 0, true
		for _, kv := range answer.Kvs {
			size += len(kv.Key) + len(kv.Value)
			more = take(keyOf(kv))
		}
		listed.More = int(answer.Count) - len(answer.Kvs)
		if listed.More > 0 && more {
			from = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
			page = min(max(1, pageSize/max(1, size/page)), 2*page, most)
			continue
		}
		return listed, nil
	}
}

// firstOf returns the first key under a prefix. All are under an empty one, and there is
// no empty key.
func firstOf(prefix string) string { return cmp.Or(prefix, "\x00") }

// Revision reads the newest revision from the leader, and returns it with the ID
// of the cluster.
func (c *Client) Revision(ctx context.Context, prefix string) (cluster uint64, newest int64, err error) {
	err = c.do(ctx, requestProgress, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		cluster, newest, err = revision(ctx, etcd, prefix)
		return err
	})
	return cluster, newest, err
}

func revision(ctx context.Context, etcd *clientv3.Client, prefix string) (cluster uint64, newest int64, err error) {
	now, err := etcd.Get(clientv3.WithRequireLeader(ctx), firstOf(prefix), clientv3.WithCountOnly())
	if err != nil {
		return 0, 0, err
	}
	return now.Header.ClusterId, now.Header.Revision, nil
}

// OldestRevision returns the oldest revision that can still be read, given the
// one that was it before, or 0. No request returns it, but a read of an older one
// is refused. Where the user may not read the key, the answer is 0.
func (c *Client) OldestRevision(ctx context.Context, key string, before int64) (int64, error) {
	var revision int64
	err := c.do(ctx, requestCompaction, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		revision, err = oldestRevision(before, func(revision int64) (int64, error) {
			answer, err := etcd.Get(ctx, firstOf(key), clientv3.WithRev(revision), clientv3.WithCountOnly())
			if err != nil {
				return 0, err
			}
			return answer.Header.Revision, nil
		})
		return err
	})
	if Denied(err) {
		return 0, nil
	}
	return revision, err
}

// oldestRevision searches for the oldest revision that read does not refuse as
// compacted; read returns the newest one, which it reads when asked for 0.
// Compactions can go on meanwhile, so what was found is read once more, a few times.
func oldestRevision(before int64, read func(revision int64) (int64, error)) (int64, error) {
	oldest := max(before, 1)
	for again := 10; ; again-- {
		_, err := read(oldest)
		switch {
		case again == 0:
			return oldest, err
		case errors.Is(err, rpctypes.ErrFutureRev): // The history is that of a restored backup.
			oldest = 1
			continue
		case !errors.Is(err, rpctypes.ErrCompacted):
			return oldest, err
		}
		newest, err := read(0)
		if err != nil {
			return 0, err
		}
		compacted := oldest
		for oldest = newest; oldest-compacted > 1; {
			middle := compacted + (oldest-compacted)/2
			switch _, err := read(middle); {
			case err == nil:
				oldest = middle
			case errors.Is(err, rpctypes.ErrCompacted):
				compacted = middle
			default:
				return 0, err
			}
		}
	}
}
