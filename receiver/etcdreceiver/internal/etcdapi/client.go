// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package etcdapi is the one place with etcd's client: connections, login, requests
// with a timeout, watches, checks of what an answer lacks, and errors that say what
// to do. What it returns has no types of that client.
package etcdapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
)

const (
	// DefaultTimeout is how long a request may take.
	DefaultTimeout = 5 * time.Second

	// retryAtMost is the longest pause between two attempts at a connection.
	retryAtMost = 5 * time.Second

	// anotherMember is how often, for each endpoint, another member is tried in
	// place of one that has no leader, and refusedPause how long after.
	anotherMember = 3
	refusedPause  = 50 * time.Millisecond

	// refusalPause is how long a password that was refused is not tried again.
	refusalPause = 2 * time.Second
)

// The requests, as they are counted.
const (
	requestAlarms     = "alarms"
	requestCompaction = "compaction"
	requestHistory    = "history"
	requestLease      = "lease"
	requestLeases     = "leases"
	requestList       = "list"
	requestMembers    = "members"
	requestProgress   = "progress"
	requestStatus     = "status"
	requestWatch      = "watch"
)

// Options are what a Client is made of.
type Options struct {
	// TLS is that of https endpoints; nil for others. Anonymous means that it has no
	// certificate of its own.
	TLS       *tls.Config
	Anonymous bool

	Username string // empty: without authentication
	Password tokenfile.Source

	DialTimeout      time.Duration
	KeepaliveTime    time.Duration
	KeepaliveTimeout time.Duration
	Timeout          time.Duration // how long a request may take

	// Applied, which may be nil, is what the clients of a cluster share of its history.
	Applied *Applied

	// Dial, which may be nil, makes the connections.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// Count, which may be nil, counts each request by its name and outcome.
	Count func(request string, err error)
}

// Client reads from etcd. It is safe for concurrent use.
type Client struct {
	config  clientv3.Config
	options Options

	firstPage atomic.Int64 // keys with which a list begins

	mu      sync.Mutex
	etcd    *clientv3.Client
	refusal refusal
	watches map[string]*watches // by prefix
}

// errLearner is the error of a learner, which neither logs in nor lists or watches keys.
var errLearner = rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner)

// refusal is a login that etcd refused. To check a password costs etcd much, so
// the same one is not tried again at once.
type refusal struct {
	password string
	at       time.Time
	err      error
}

// New returns a client of the endpoints. It connects when it is first used; ctx
// ends it.
func New(ctx context.Context, options Options, endpoints ...string) *Client {
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: options.DialTimeout}
	connect.Backoff.MaxDelay = retryAtMost
	c := &Client{
		config: clientv3.Config{
			Context:              ctx,
			Endpoints:            endpoints,
			TLS:                  options.TLS,
			Username:             options.Username,
			DialTimeout:          options.DialTimeout,
			DialKeepAliveTime:    options.KeepaliveTime,
			DialKeepAliveTimeout: options.KeepaliveTimeout,
			DialOptions:          append(checkedAnswers(), grpc.WithConnectParams(connect)),
			// The second try is for a token that has expired. For the rest, it
			// is the receiver that tries again, and that reports failures: the
			// client would log each of its own.
			MaxUnaryRetries: 2,
			Logger:          zap.NewNop(),
		},
		options: options,
		watches: map[string]*watches{},
	}
	if options.Dial != nil {
		c.config.DialOptions = append(c.config.DialOptions, grpc.WithContextDialer(options.Dial))
	}
	c.firstPage.Store(firstPage)
	return c
}

// Close ends the connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcd != nil {
		_ = c.etcd.Close() // It can only fail to end what has ended.
	}
}

// connect makes the etcd client. That can wait, as with a user name it logs in.
func (c *Client) connect() (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcd != nil {
		return c.etcd, nil
	}
	if err := c.config.Context.Err(); err != nil {
		return nil, err
	}
	config := c.config
	if config.Username != "" {
		var err error
		if config.Password, err = c.options.Password.Read(); err != nil {
			return nil, err
		}
		if c.refusal.password == config.Password && time.Since(c.refusal.at) < refusalPause {
			return nil, c.refusal.err
		}
	}
	etcd, err := clientv3.New(config)
	if loggedOut(err) {
		c.refusal = refusal{config.Password, time.Now(), err}
		return nil, err
	}
	if err != nil {
		return nil, c.whyNot(err)
	}
	c.etcd = etcd
	return etcd, nil
}

// whyNot finds out why a login got no answer.
func (c *Client) whyNot(err error) error {
	etcd, failed := clientv3.New(c.anonymous())
	if failed != nil {
		return err
	}
	defer func() { _ = etcd.Close() }() // It can only fail to end what has ended.
	return c.hint(c.why(c.config.Context, etcd, err))
}

func (c *Client) anonymous() clientv3.Config {
	config := c.config
	config.Username = ""
	return config
}

// why adds the reason to an error of having waited for a connection in vain,
// which clientv3 leaves out.
func (c *Client) why(ctx context.Context, etcd *clientv3.Client, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.options.Timeout, time.Second))
	defer cancel()
	if _, reason := statusOfMember(ctx, etcd); status.Code(reason) == codes.Unavailable {
		return fmt.Errorf("%w: %s", err, status.Convert(reason).Message())
	}
	return err
}

// disconnect ends the connections, so that the next use logs in anew. It does
// nothing when another use has done so already.
func (c *Client) disconnect(etcd *clientv3.Client) {
	c.mu.Lock()
	is := c.etcd == etcd
	if is {
		c.etcd = nil
	}
	c.mu.Unlock()
	if is {
		_ = etcd.Close() // It can only fail to end what has ended, and may take its time.
	}
}

// do makes a request, in the time that one may take. A login that is not good
// any more is not kept but made anew, once: the password may have been rotated.
func (c *Client) do(ctx context.Context, request string, send func(context.Context, *clientv3.Client) error) error {
	err := c.once(ctx, send)
	if loggedOut(err) {
		err = c.once(ctx, send)
	}
	for refused := 0; c.AnotherMember(ctx, err, refused); refused++ {
		err = c.once(ctx, send)
	}
	c.count(request, err)
	return err
}

func (c *Client) once(ctx context.Context, send func(context.Context, *clientv3.Client) error) error {
	etcd, err := c.connect()
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if err = rpctypes.Error(send(within, etcd)); loggedOut(err) {
		c.disconnect(etcd)
	}
	return c.hint(c.why(ctx, etcd, err))
}

func (c *Client) count(request string, err error) {
	if c.options.Count != nil {
		c.options.Count(request, err)
	}
}

// AnotherMember reports whether another member may do what a learner, or one without a
// leader, has refused, so many times before. It waits until that may be connected: which one
// gets a request is not for the client to choose.
func (c *Client) AnotherMember(ctx context.Context, err error, refused int) bool {
	refuses := errors.Is(err, rpctypes.ErrNoLeader) || errors.Is(err, errLearner)
	if !refuses || refused >= anotherMember*len(c.config.Endpoints) {
		return false
	}
	select {
	case <-time.After(refusedPause):
		return true
	case <-ctx.Done():
		return false
	}
}
