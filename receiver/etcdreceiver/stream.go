// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	own "github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const (
	// batchSize is how many changes are told together, if they are there.
	batchSize = 1000

	// atOnce is how long after each other they may have been read.
	atOnce = 100 * time.Millisecond
)

var (
	// errFull is why a stream ended that nothing is wrong with.
	errFull = errors.New("watch::queue is full")

	errAnother = errors.New("etcd is another cluster than before")
)

// stream is an open watch of the keys under a prefix. The client's own buffer
// has no bound, so the stream is read at once, into a queue that has one. When
// the queue is full the stream ends: etcd's history keeps the rest, and another
// stream can go on from there.
type stream struct {
	client    *client
	etcd      *clientv3.Client
	pick      selection
	prefix    string
	cluster   uint64 // of the first response: clientv3 resumes wherever it can
	seen      int64  // the newest revision of etcd that it has told
	ctx       context.Context
	cancel    context.CancelFunc
	responses clientv3.WatchChan
	limit     int
	done      chan struct{}

	mu     sync.Mutex
	queue  []batch
	queued int
	err    error         // why no more will come
	ready  chan struct{} // there is something in the queue, or an error
}

// batch is what was read of a stream. The first one has no changes, but says
// which cluster it is of.
type batch struct {
	at       time.Time // when it was read
	opened   bool
	cluster  uint64
	revision int64 // everything up to it was read; of the first one, the newest in etcd
	changes  []key.Change
}

// Watch opens a watch from a revision on, with a queue of so many changes. When
// etcd is not reachable it fails in time, where clientv3 would wait for ever.
func (c *client) Watch(ctx context.Context, pick selection, prefix string, revision int64, limit int) (s *stream, err error) {
	defer func() { c.report.count(own.AttributeRequestWatch, err) }()
	etcd, err := c.connect()
	if err != nil {
		return nil, err
	}
	// etcd reports the progress of a stream only when all its watches are in
	// step, and clientv3 shares a stream among those with equal metadata.
	ctx = metadata.AppendToOutgoingContext(ctx, "otelcol-infra-watch", fmt.Sprintf("%x", prefix))
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	patience := time.AfterFunc(c.timeout, cancel)
	options := []clientv3.OpOption{
		clientv3.WithPrefix(), clientv3.WithRev(revision),
		clientv3.WithCreatedNotify(), clientv3.WithProgressNotify(), clientv3.WithFragment(),
	}
	if pick.prevKV {
		options = append(options, clientv3.WithPrevKV())
	}
	responses := etcd.Watch(ctx, prefix, options...)
	if !patience.Stop() {
		return nil, c.why(context.WithoutCancel(ctx), etcd, fmt.Errorf("no watch could be opened within %s: %w", c.timeout, context.DeadlineExceeded))
	}
	s = &stream{
		client: c, etcd: etcd, pick: pick, prefix: prefix, seen: revision - 1,
		ctx: ctx, cancel: cancel, responses: responses, limit: limit,
		done: make(chan struct{}), ready: make(chan struct{}, 1),
	}
	go s.read()
	return s, nil
}

// stop ends the stream; what is in its queue is forgotten.
func (s *stream) stop() {
	s.cancel()
	<-s.done
	s.client.report.queued(-int64(s.queued))
}

// read reads the stream until it fails or the queue is full.
func (s *stream) read() {
	defer close(s.done)
	defer s.cancel()
	for {
		response, err := s.next()
		if err == nil {
			err = s.add(response)
		}
		if err == nil {
			continue
		}
		switch {
		case loggedOut(err):
			s.client.disconnect(s.etcd)
		case errors.Is(err, errFull):
			s.client.report.pause()
		}
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		s.wake()
		return
	}
}

func (s *stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default: // It was woken already.
	}
}

func (s *stream) add(response clientv3.WatchResponse) error {
	b := batch{at: time.Now(), opened: response.Created, cluster: response.Header.ClusterId, revision: response.Header.Revision}
	if n := len(response.Events); n > 0 {
		b.revision = response.Events[n-1].Kv.ModRevision
		b.changes = s.pick.changes(response.Events)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.queue) - 1; last >= 0 && len(b.changes) == 0 && !b.opened && !s.queue[last].opened {
		s.queue[last].revision = b.revision // There is no bound to how many say nothing but this.
		s.wake()
		return nil
	}
	if s.queued > 0 && s.queued+len(b.changes) > s.limit {
		return errFull
	}
	s.queue = append(s.queue, b)
	s.queued += len(b.changes)
	s.client.report.queued(int64(len(b.changes)))
	s.wake()
	return nil
}

// take returns what was read since the last time, up to about batchSize changes.
// It waits until there is something, or for patience. It fails when the stream
// has, and all of it was taken.
func (s *stream) take(ctx context.Context, patience time.Duration) (batch, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			taken := s.pop()
			s.mu.Unlock()
			return taken, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return batch{}, err
		}
		select {
		case <-s.ready:
		case <-timer.C:
			return batch{}, nil
		case <-ctx.Done():
			return batch{}, ctx.Err()
		}
	}
}

// pop takes the first batch out of the queue, together with those after it that
// fit in with it.
func (s *stream) pop() batch {
	first, n := s.queue[0], 1
	size := len(first.changes)
	for n < len(s.queue) && !first.opened && size+len(s.queue[n].changes) <= batchSize && s.queue[n].at.Sub(first.at) < atOnce {
		size += len(s.queue[n].changes)
		n++
	}
	if n > 1 {
		changes := make([]key.Change, 0, size)
		for _, b := range s.queue[:n] {
			changes = append(changes, b.changes...)
		}
		first.changes, first.revision = changes, s.queue[n-1].revision
	}
	clear(s.queue[:n]) // for the garbage collector
	s.queue = s.queue[n:]
	s.queued -= size
	s.client.report.queued(-int64(size))
	return first
}

// next waits for the next response. A quiet watch is asked for its progress,
// which moves the revision to resume from ahead of compactions, and shows that
// the watch is alive: clientv3 hides that it lost its connection.
func (s *stream) next() (clientv3.WatchResponse, error) {
	timeout := s.client.timeout
	quiet := time.NewTimer(2 * timeout)
	defer quiet.Stop()
	for asked := false; ; {
		select {
		case response, open := <-s.responses:
			if !open {
				return response, cmp.Or(s.ctx.Err(), errors.New("the watch was closed"))
			}
			if err := response.Err(); err != nil {
				return response, reason(err)
			}
			if response.Header.ClusterId == 0 {
				return response, nil // Its revision is the one that was asked for.
			}
			if s.cluster = cmp.Or(s.cluster, response.Header.ClusterId); s.cluster != response.Header.ClusterId {
				return response, errAnother
			}
			s.seen = max(s.seen, response.Header.Revision)
			return response, nil
		case <-s.ctx.Done():
			return clientv3.WatchResponse{}, s.ctx.Err()
		case <-quiet.C:
			if asked {
				return clientv3.WatchResponse{}, fmt.Errorf("no answer to the watch within %s", timeout)
			}
			var err error
			if asked, err = s.ask(); err != nil {
				return clientv3.WatchResponse{}, err
			}
			if asked {
				quiet.Reset(timeout)
			} else {
				quiet.Reset(2 * timeout)
			}
		}
	}
}

// ask requests the progress of the watch, and says whether there will be an
// answer. Where nothing has happened since the last response there may be none,
// and where etcd came back with an older history (a restored backup) the watch
// would wait for a revision that is not there yet.
func (s *stream) ask() (asked bool, err error) {
	err = s.client.ask(s.ctx, own.AttributeRequestProgress, func(ctx context.Context, etcd *clientv3.Client) error {
		cluster, newest, err := revision(ctx, etcd, s.prefix)
		switch {
		case err != nil:
			return fmt.Errorf("the watch has no connection: %w", err)
		case cluster != cmp.Or(s.cluster, cluster):
			return errAnother
		case newest < s.seen:
			return errors.New("etcd has gone back in its history")
		case newest == s.seen:
			return nil
		}
		asked = true
		if err := s.etcd.RequestProgress(ctx); err != nil {
			return fmt.Errorf("the watch has no connection: %w", err)
		}
		return nil
	})
	return asked, err
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
