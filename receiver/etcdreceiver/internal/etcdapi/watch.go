// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// Watch is an open watch of the keys under a prefix. The client's own buffer has no
// bound, so Next is to be called at once, again and again. It is not safe for
// concurrent use.
type Watch struct {
	client    *Client
	etcd      *clientv3.Client
	prefix    string
	cluster   uint64 // of the first response: clientv3 resumes wherever it can
	newest    int64  // revision of etcd that it has responded with
	ctx       context.Context
	cancel    context.CancelFunc
	responses clientv3.WatchChan
}

// Response is what was read of a watch. The first one is Opened and says which
// cluster it is of, unless a grpc-proxy leaves that out.
type Response struct {
	Opened   bool
	Cluster  uint64
	Revision int64 // everything up to it was read; of the first one, the newest in etcd

	// Changes are the changes, and Count is how many there are.
	Changes iter.Seq[Change]
	Count   int
}

// Change is one change of one key. Of a deleted key only Name and Modified are
// known, unless the watch returns what it was before.
type Change struct {
	Key     Key
	Deleted bool
	Before  Key    // of a deleted key, if its Version is known
	Value   []byte // not to be kept
}

// Watch opens a watch of a prefix from a revision on. With prevKV, it returns what
// deleted keys were before. When etcd is not reachable it fails in time, where
// clientv3 would wait for ever.
func (c *Client) Watch(ctx context.Context, prefix string, revision int64, prevKV bool) (w *Watch, err error) {
	defer func() { c.count(requestWatch, err) }()
	etcd, err := c.connect()
	if err != nil {
		return nil, err
	}
	// etcd reports the progress of a stream only when all its watches are in
	// step, and clientv3 shares a stream among those with equal metadata.
	ctx = metadata.AppendToOutgoingContext(ctx, "otelcol-infra-watch", fmt.Sprintf("%x", prefix))
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	patience := time.AfterFunc(c.options.Timeout, cancel)
	options := []clientv3.OpOption{
		clientv3.WithPrefix(), clientv3.WithRev(revision),
		clientv3.WithCreatedNotify(), clientv3.WithProgressNotify(), clientv3.WithFragment(),
	}
	if prevKV {
		options = append(options, clientv3.WithPrevKV())
	}
	responses := etcd.Watch(ctx, prefix, options...)
	if !patience.Stop() {
		return nil, c.why(context.WithoutCancel(ctx), etcd, fmt.Errorf("no watch could be opened within %s: %w", c.options.Timeout, context.DeadlineExceeded))
	}
	return &Watch{client: c, etcd: etcd, prefix: prefix, newest: revision - 1, ctx: ctx, cancel: cancel, responses: responses}, nil
}

// Close ends the watch.
func (w *Watch) Close() { w.cancel() }

// Next waits for the next response. A quiet watch is asked for its progress,
// which moves the revision to resume from ahead of compactions, and shows that
// the watch is alive: clientv3 hides that it lost its connection.
func (w *Watch) Next() (Response, error) {
	response, err := w.next()
	if err != nil {
		if loggedOut(err) {
			w.client.disconnect(w.etcd)
		}
		return Response{}, err
	}
	read := Response{
		Opened: response.Created, Cluster: response.Header.ClusterId, Revision: response.Header.Revision,
		Changes: changesOf(response.Events), Count: len(response.Events),
	}
	if read.Count > 0 {
		read.Revision = response.Events[read.Count-1].Kv.ModRevision
	}
	return read, nil
}

func changesOf(events []*clientv3.Event) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for _, event := range events {
			c := Change{Key: keyOf(event.Kv), Deleted: event.Type == clientv3.EventTypeDelete, Value: event.Kv.Value}
			if c.Deleted && event.PrevKv != nil {
				c.Before = keyOf(event.PrevKv)
			}
			if !yield(c) {
				return
			}
		}
	}
}

func (w *Watch) next() (clientv3.WatchResponse, error) {
	timeout := w.client.options.Timeout
	quiet := time.NewTimer(2 * timeout)
	defer quiet.Stop()
	for requested := false; ; {
		select {
		case response, open := <-w.responses:
			if !open {
				return response, cmp.Or(w.ctx.Err(), errors.New("the watch was closed"))
			}
			if err := response.Err(); err != nil {
				return response, reason(err)
			}
			if response.Header.ClusterId == 0 {
				return response, nil // Its revision is the one that was asked for.
			}
			if w.cluster = cmp.Or(w.cluster, response.Header.ClusterId); w.cluster != response.Header.ClusterId {
				return response, ErrAnotherCluster
			}
			w.newest = max(w.newest, response.Header.Revision)
			return response, nil
		case <-w.ctx.Done():
			return clientv3.WatchResponse{}, w.ctx.Err()
		case <-quiet.C:
			if requested {
				return clientv3.WatchResponse{}, fmt.Errorf("no answer to the watch within %s", timeout)
			}
			var err error
			if requested, err = w.requestProgress(); err != nil {
				return clientv3.WatchResponse{}, err
			}
			if requested {
				quiet.Reset(timeout)
			} else {
				quiet.Reset(2 * timeout)
			}
		}
	}
}

// requestProgress requests the progress of the watch, and reports whether there will
// be an answer. Where nothing has happened since the last response there may be none,
// and where etcd came back with an older history (a restored backup) the watch
// would wait for a revision that is not there yet.
func (w *Watch) requestProgress() (requested bool, err error) {
	err = w.client.do(w.ctx, requestProgress, func(ctx context.Context, etcd *clientv3.Client) error {
		cluster, newest, err := revision(ctx, etcd, w.prefix)
		switch {
		case err != nil:
			return fmt.Errorf("the watch has no connection: %w", err)
		case cluster != cmp.Or(w.cluster, cluster):
			return ErrAnotherCluster
		case newest < w.newest:
			return errors.New("etcd has gone back in its history")
		case newest == w.newest:
			return nil
		}
		requested = true
		if err := w.etcd.RequestProgress(ctx); err != nil {
			return fmt.Errorf("the watch has no connection: %w", err)
		}
		return nil
	})
	return requested, err
}

// reason returns the error that a watch was refused with, of which clientv3
// keeps the text alone.
func reason(err error) error {
	if err == nil {
		return nil
	}
	_, text, found := strings.Cut(err.Error(), " desc = ")
	if known := rpctypes.Error(errors.New(text)); found && errors.As(known, new(rpctypes.EtcdError)) {
		return known
	}
	return err
}
