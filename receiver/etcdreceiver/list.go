// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"cmp"
	"context"
	"crypto/sha256"
	enchex "encoding/hex"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const (
	// pageSize is how many bytes a page of a list should have, as values come
	// along: etcd tells a key's lease and length only with its value.
	pageSize = 4 << 20

	// firstPage and largestPage are numbers of keys. The values of the next page
	// can be larger than those before, so a page is at most twice as long, and not
	// again as long as one that could not be read in time. Where that was the first
	// one, the next list begins with fewer.
	firstPage   = 50
	largestPage = 10_000
)

// selection is what is taken of the keys that etcd tells.
type selection struct {
	names       pattern.Matcher
	limit       int
	prevKV      bool
	fingerprint bool
}

// List returns the keys under a covering prefix, as many as are remembered, and
// the ID of the cluster. revision is that of the list, or 0 for the newest.
func (c *client) List(ctx context.Context, pick selection, prefix string, revision int64) (keyspace.Observation, uint64, error) {
	observed := keyspace.Observation{Prefix: prefix, Revision: revision, Listed: true}
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix))
	var cluster uint64
	first, most := int(c.firstPage.Load()), largestPage
	for from, page := prefix, first; ; {
		var answer *clientv3.GetResponse
		err := c.ask(ctx, metadata.AttributeRequestList, func(ctx context.Context, etcd *clientv3.Client) (err error) {
			answer, err = etcd.Get(clientv3.WithRequireLeader(ctx), from, end, clientv3.WithRev(observed.Revision), clientv3.WithLimit(int64(page)))
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
			return keyspace.Observation{}, 0, err
		}
		if cluster = cmp.Or(cluster, answer.Header.ClusterId); cluster != answer.Header.ClusterId {
			return keyspace.Observation{}, 0, errAnother
		}
		if observed.Revision == 0 {
			observed.Revision = answer.Header.Revision
		}
		size := 0
		for _, kv := range answer.Kvs {
			size += len(kv.Key) + len(kv.Value)
			if key := keyOf(kv); pick.names.Match(key.Name) {
				observed.Keys = append(observed.Keys, key)
			}
		}
		left := int(answer.Count) - len(answer.Kvs)
		if beyond := len(observed.Keys) - pick.limit; left > 0 && beyond >= 0 {
			observed.More = left
		} else if left > 0 {
			from = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
			page = min(max(1, pageSize/max(1, size/page)), 2*page, most)
			continue
		}
		return observed, cluster, nil
	}
}

// Revision asks the leader for the newest revision, and returns it with the ID
// of the cluster.
func (c *client) Revision(ctx context.Context, prefix string) (cluster uint64, newest int64, err error) {
	err = c.ask(ctx, metadata.AttributeRequestProgress, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		cluster, newest, err = revision(ctx, etcd, prefix)
		return err
	})
	return cluster, newest, err
}

func revision(ctx context.Context, etcd *clientv3.Client, prefix string) (cluster uint64, newest int64, err error) {
	now, err := etcd.Get(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, 0, err
	}
	return now.Header.ClusterId, now.Header.Revision, nil
}

func keyOf(kv *mvccpb.KeyValue) key.Key {
	return key.Key{
		Name:     string(kv.Key),
		Created:  kv.CreateRevision,
		Modified: kv.ModRevision,
		Version:  kv.Version,
		Lease:    kv.Lease,
		Size:     len(kv.Value),
	}
}

// changes returns what is observed of a watch response. Values stay behind.
func (p selection) changes(events []*clientv3.Event) []key.Change {
	changes := make([]key.Change, 0, len(events))
	for _, event := range events {
		c := key.Change{Key: keyOf(event.Kv), Deleted: event.Type == clientv3.EventTypeDelete}
		if !p.names.Match(c.Key.Name) {
			continue
		}
		if c.Deleted && event.PrevKv != nil {
			c.Before = keyOf(event.PrevKv)
		}
		if p.fingerprint && !c.Deleted {
			sum := sha256.Sum256(event.Kv.Value)
			c.Fingerprint = enchex.EncodeToString(sum[:])
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil // not to keep its room
	}
	return changes
}
