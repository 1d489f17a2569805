// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/metadata"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// retryAtMost is the longest pause between two attempts at a connection.
const retryAtMost = 5 * time.Second

// client is the part of the etcd API that the receiver uses. It is safe for
// concurrent use.
type client struct {
	config   clientv3.Config
	timeout  time.Duration
	prefixes state.Prefixes
	maxKeys  int

	mu   sync.Mutex
	etcd *clientv3.Client
}

// newClient returns a client of the endpoints. It connects when it is first
// used; ctx ends it.
func newClient(ctx context.Context, cfg *Config, tlsConfig *tls.Config, endpoints ...string) *client {
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: cfg.DialTimeout}
	connect.Backoff.MaxDelay = retryAtMost
	return &client{
		config: clientv3.Config{
			Context:              ctx,
			Endpoints:            endpoints,
			TLS:                  tlsConfig,
			Username:             cfg.Username,
			Password:             string(cfg.Password),
			DialKeepAliveTime:    cfg.Keepalive.Time,
			DialKeepAliveTimeout: cfg.Keepalive.Timeout,
			DialTimeout:          cfg.DialTimeout,
			DialOptions:          []grpc.DialOption{grpc.WithConnectParams(connect)},
			// The second try is for a token that has expired. For the rest, it
			// is the receiver that tries again, and that tells of failures:
			// the client would log each of its own.
			MaxUnaryRetries: 2,
			Logger:          zap.NewNop(),
		},
		timeout:  cmp.Or(cfg.Scrape.Timeout, defaultTimeout),
		prefixes: cfg.prefixes(),
		maxKeys:  cfg.Watch.Limit,
	}
}

// connect makes the etcd client. That can wait, as with a user name it logs in.
func (c *client) connect() (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcd != nil {
		return c.etcd, nil
	}
	if err := c.config.Context.Err(); err != nil {
		return nil, err
	}
	etcd, err := clientv3.New(c.config)
	if err != nil {
		return nil, err
	}
	c.etcd = etcd
	return etcd, nil
}

// close ends the connections.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcd != nil {
		_ = c.etcd.Close() // It can only fail to end what has ended.
	}
}

// List returns the keys under a covering prefix, at most watch::limit of them, and
// the ID of the cluster. Their values are not asked for, except where locks
// are: since version 3.7, etcd tells a key's lease only together with its value.
func (c *client) List(ctx context.Context, prefix string) (state.Observation, uint64, error) {
	etcd, err := c.connect()
	if err != nil {
		return state.Observation{}, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	limit := clientv3.WithLimit(int64(c.maxKeys))
	answer, err := etcd.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), limit)
	if err != nil {
		return state.Observation{}, 0, err
	}
	revision := answer.Header.Revision
	leases := map[string]int64{}
	for _, locks := range c.prefixes.LocksUnder(prefix) {
		part, err := etcd.Get(ctx, locks, clientv3.WithPrefix(), clientv3.WithRev(revision), limit)
		if err != nil {
			return state.Observation{}, 0, err
		}
		for _, kv := range part.Kvs {
			leases[string(kv.Key)] = kv.Lease
		}
	}
	keys := make([]state.Key, 0, len(answer.Kvs))
	for _, kv := range answer.Kvs {
		key := keyOf(kv)
		key.Lease = cmp.Or(key.Lease, leases[key.Name])
		keys = append(keys, key)
	}
	return state.Observation{
		Prefix:   prefix,
		Revision: revision,
		Listed:   true,
		Keys:     keys,
		More:     int(answer.Count) - len(keys),
	}, answer.Header.ClusterId, nil
}

// explain says what to do about a refusal.
func explain(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%w: the user needs read of the whole prefix", err)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: set username and password", err)
	default:
		return err
	}
}

// keyWatch is an open watch of the keys under a prefix.
type keyWatch struct {
	etcd      *clientv3.Client
	prefix    string
	seen      int64 // the newest revision of etcd that it has told
	ctx       context.Context
	cancel    context.CancelFunc
	timeout   time.Duration
	responses clientv3.WatchChan
}

// Watch opens a watch from a revision on. When etcd is not reachable it fails
// in time, where clientv3 would wait for ever.
func (c *client) Watch(ctx context.Context, prefix string, revision int64) (*keyWatch, error) {
	etcd, err := c.connect()
	if err != nil {
		return nil, err
	}
	// etcd reports the progress of a stream only when all its watches are in
	// step, and clientv3 shares a stream among those with equal metadata.
	ctx = metadata.AppendToOutgoingContext(ctx, "otelcol-infra-watch", fmt.Sprintf("%x", prefix))
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	patience := time.AfterFunc(c.timeout, cancel)
	responses := etcd.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(revision),
		clientv3.WithCreatedNotify(), clientv3.WithProgressNotify(), clientv3.WithFragment())
	if !patience.Stop() {
		return nil, fmt.Errorf("no watch could be opened within %s", c.timeout)
	}
	return &keyWatch{etcd: etcd, prefix: prefix, seen: revision - 1, ctx: ctx, cancel: cancel, timeout: c.timeout, responses: responses}, nil
}

// Next waits for the next response. A quiet watch is asked for its progress,
// which moves the revision to resume from ahead of compactions, and shows that
// the watch is alive: clientv3 hides that it lost its connection.
func (w *keyWatch) Next() (clientv3.WatchResponse, error) {
	quiet := time.NewTimer(2 * w.timeout)
	defer quiet.Stop()
	for asked := false; ; {
		select {
		case response, open := <-w.responses:
			if !open {
				return response, cmp.Or(w.ctx.Err(), errors.New("the watch was closed"))
			}
			w.seen = max(w.seen, response.Header.Revision)
			return response, response.Err()
		case <-w.ctx.Done():
			return clientv3.WatchResponse{}, w.ctx.Err()
		case <-quiet.C:
			if asked {
				return clientv3.WatchResponse{}, fmt.Errorf("no answer to the watch within %s", w.timeout)
			}
			var err error
			if asked, err = w.ask(); err != nil {
				return clientv3.WatchResponse{}, err
			}
			if asked {
				quiet.Reset(w.timeout)
			} else {
				quiet.Reset(2 * w.timeout)
			}
		}
	}
}

// ask requests the progress of the watch, and says whether there will be an
// answer. Where nothing has happened since the last response there may be none,
// and where etcd came back with an older history (a restored backup) the watch
// would wait for a revision that is not there yet.
func (w *keyWatch) ask() (bool, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	now, err := w.etcd.Get(ctx, w.prefix, clientv3.WithKeysOnly(), clientv3.WithLimit(1))
	switch {
	case err != nil:
		return false, fmt.Errorf("the watch has no connection: %w", err)
	case now.Header.Revision < w.seen:
		return false, errors.New("etcd has gone back in its history")
	case now.Header.Revision == w.seen:
		return false, nil
	}
	if err := w.etcd.RequestProgress(ctx); err != nil {
		return false, fmt.Errorf("the watch has no connection: %w", err)
	}
	return true, nil
}

func keyOf(kv *mvccpb.KeyValue) state.Key {
	return state.Key{
		Name:     string(kv.Key),
		Created:  kv.CreateRevision,
		Modified: kv.ModRevision,
		Version:  kv.Version,
		Lease:    kv.Lease,
	}
}

func changesOf(events []*clientv3.Event) []state.Change {
	changes := make([]state.Change, 0, len(events))
	for _, event := range events {
		changes = append(changes, state.Change{
			Key:     keyOf(event.Kv),
			Deleted: event.Type == clientv3.EventTypeDelete,
			Size:    len(event.Kv.Value),
		})
	}
	return changes
}
