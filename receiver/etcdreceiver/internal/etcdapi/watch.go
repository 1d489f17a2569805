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
	streams   *streams
	cluster   uint64 // of the first response
	newest    int64  // revision of etcd that it has responded with
	known     int64  // everything up to it was read
	counted   bool   // its first response is
	silent    bool   // it does not answer requests for its progress, as through a grpc-proxy
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
	defer func() {
		if err != nil {
			c.count(requestWatch, err)
		}
	}()
	etcd, err := c.connect()
	if err != nil {
		return nil, err
	}
	// etcd reports the progress of a stream only when all its watches are in
	// step, and clientv3 shares a stream among those with equal metadata.
	number, streams := c.newStreams(prefix)
	ctx = metadata.AppendToOutgoingContext(streams.in(ctx), "otelcol-infra-watch", fmt.Sprintf("%x.%d", prefix, number))
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
	return &Watch{
		client: c, etcd: etcd, prefix: prefix, streams: streams, newest: revision - 1, known: revision - 1,
		ctx: ctx, cancel: cancel, responses: responses,
	}, nil
}

// Close ends the watch.
func (w *Watch) Close() { w.cancel() }

// Next waits for the next response. A quiet watch is asked for its progress,
// which moves the revision to resume from ahead of compactions, and shows that
// the watch is alive: clientv3 hides that it lost its connection.
func (w *Watch) Next() (Response, error) {
	response, err := w.next()
	if !w.counted && w.ctx.Err() == nil {
		w.counted = true
		w.client.count(requestWatch, err)
	}
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
	if !read.Opened {
		w.known = max(w.known, read.Revision)
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
	quiet := time.NewTimer(w.patience())
	defer quiet.Stop()
	for requested, late := w.silent, false; ; {
		select {
		case response, open := <-w.responses:
			if !open {
				return response, cmp.Or(w.ctx.Err(), w.streams.lost(), errors.New("the watch was closed"))
			}
			return response, w.check(response)
		case <-w.ctx.Done():
			return clientv3.WatchResponse{}, w.ctx.Err()
		case <-quiet.C:
			if !requested {
				var err error
				if requested, err = w.requestProgress(); err != nil {
					return clientv3.WatchResponse{}, err
				}
				if requested {
					quiet.Reset(timeout)
				} else {
					quiet.Reset(w.patience())
				}
				continue
			}
			response, unchanged, err := w.unchanged()
			if err == nil && !unchanged && late {
				err = fmt.Errorf("no answer to the watch within %s", timeout)
			}
			if err != nil || unchanged {
				w.silent = unchanged
				return response, err
			}
			late = true // The changes may be on their way.
			quiet.Reset(timeout)
		}
	}
}

// patience is how long the watch may be quiet before it is checked.
func (w *Watch) patience() time.Duration {
	if w.silent {
		return 12 * w.client.options.Timeout // To do without its answers costs etcd more.
	}
	return 2 * w.client.options.Timeout
}

// check takes in what a response says of etcd.
func (w *Watch) check(response clientv3.WatchResponse) error {
	if err := response.Err(); err != nil {
		return cmp.Or(w.streams.lost(), reason(err))
	}
	if response.Header.ClusterId == 0 {
		return nil // Its revision is the one that was asked for.
	}
	if w.cluster = cmp.Or(w.cluster, response.Header.ClusterId); w.cluster != response.Header.ClusterId {
		return ErrAnotherCluster
	}
	w.newest = max(w.newest, response.Header.Revision)
	return nil
}

// unchanged reports whether no key has changed since what was read last, and returns
// the response that says so. A grpc-proxy ignores requests for progress. Of keys that
// were deleted the number tells, as those that were created would be found.
func (w *Watch) unchanged() (response clientv3.WatchResponse, is bool, err error) {
	err = w.client.do(w.ctx, requestProgress, func(ctx context.Context, etcd *clientv3.Client) error {
		ctx = clientv3.WithRequireLeader(ctx)
		now, err := etcd.Get(ctx, w.prefix, clientv3.WithPrefix(), clientv3.WithMinModRev(w.known+1), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		then, err := etcd.Get(ctx, w.prefix, clientv3.WithPrefix(), clientv3.WithRev(w.known), clientv3.WithCountOnly())
		if errors.Is(err, rpctypes.ErrCompacted) {
			return nil
		}
		if err != nil {
			return err
		}
		is = len(now.Kvs) == 0 && now.Count == then.Count
		response.Header = now.Header
		return nil
	})
	if err == nil && is {
		err = w.check(response)
	}
	return response, is && err == nil, err
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
