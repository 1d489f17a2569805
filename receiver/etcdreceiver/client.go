// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
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
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const (
	// retryAtMost is the longest pause between two attempts at a connection.
	retryAtMost = 5 * time.Second

	// anotherMember is how often, for each endpoint, another member is tried in
	// place of one that has no leader, and refusedPause how long after.
	anotherMember = 3
	refusedPause  = 50 * time.Millisecond

	// refusalPause is how long a password that was refused is not tried again.
	refusalPause = 2 * time.Second
)

// client is the part of the etcd API that the receiver uses. It is safe for
// concurrent use.
type client struct {
	config   clientv3.Config
	password tokenfile.Source
	timeout  time.Duration
	report   *requests
	unproven bool // it speaks TLS without a certificate of its own

	firstPage atomic.Int64 // keys with which a list begins

	mu      sync.Mutex
	etcd    *clientv3.Client
	refusal refusal
}

// refusal is a login that etcd refused. To check a password costs etcd much, so
// the same one is not tried again at once.
type refusal struct {
	password string
	at       time.Time
	err      error
}

// newClient returns a client of the endpoints. It connects when it is first
// used; ctx ends it.
func newClient(ctx context.Context, cfg *Config, tlsConfig *tls.Config, report *requests, endpoints ...string) *client {
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: cfg.DialTimeout}
	connect.Backoff.MaxDelay = retryAtMost
	c := &client{
		config: clientv3.Config{
			Context:              ctx,
			Endpoints:            endpoints,
			TLS:                  tlsConfig,
			Username:             cfg.Username,
			DialTimeout:          cfg.DialTimeout,
			DialKeepAliveTime:    cfg.Keepalive.Time,
			DialKeepAliveTimeout: cfg.Keepalive.Timeout,
			DialOptions:          append(checkedAnswers(), grpc.WithConnectParams(connect)),
			// The second try is for a token that has expired. For the rest, it
			// is the receiver that tries again, and that tells of failures:
			// the client would log each of its own.
			MaxUnaryRetries: 2,
			Logger:          zap.NewNop(),
		},
		password: cfg.password(),
		timeout:  cmp.Or(cfg.Scrape.Timeout, defaultTimeout),
		report:   report,
		unproven: tlsConfig != nil && cfg.TLS.CertFile == "" && cfg.TLS.CertPem == "",
	}
	c.firstPage.Store(firstPage)
	return c
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
	config := c.config
	if config.Username != "" {
		var err error
		if config.Password, err = c.password.Read(); err != nil {
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
func (c *client) whyNot(err error) error {
	etcd, failed := clientv3.New(c.anonymous())
	if failed != nil {
		return err
	}
	defer func() { _ = etcd.Close() }() // It can only fail to end what has ended.
	return c.hint(c.why(c.config.Context, etcd, err))
}

func (c *client) anonymous() clientv3.Config {
	config := c.config
	config.Username = ""
	return config
}

// why adds the reason to an error of having waited for a connection in vain,
// which clientv3 leaves out.
func (c *client) why(ctx context.Context, etcd *clientv3.Client, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.timeout, time.Second))
	defer cancel()
	if _, reason := statusOfMember(ctx, etcd); status.Code(reason) == codes.Unavailable {
		return fmt.Errorf("%w: %s", err, status.Convert(reason).Message())
	}
	return err
}

// disconnect ends the connections, so that the next use logs in anew. It does
// nothing when another use has done so already.
func (c *client) disconnect(etcd *clientv3.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcd == etcd {
		c.etcd = nil
		_ = etcd.Close() // It can only fail to end what has ended.
	}
}

// close ends the connections.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcd != nil {
		_ = c.etcd.Close() // It can only fail to end what has ended.
	}
}

// ask makes a request, in the time that one may take. A login that is not good
// any more is not kept but made anew, once: the password may have been rotated.
func (c *client) ask(ctx context.Context, request metadata.AttributeRequest, do func(context.Context, *clientv3.Client) error) error {
	err := c.once(ctx, do)
	if loggedOut(err) {
		err = c.once(ctx, do)
	}
	for refused := 0; c.mayHelp(ctx, err, refused); refused++ {
		err = c.once(ctx, do)
	}
	c.report.count(request, err)
	return err
}

func (c *client) once(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	etcd, err := c.connect()
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err = rpctypes.Error(do(within, etcd)); loggedOut(err) {
		c.disconnect(etcd)
	}
	return c.hint(c.why(ctx, etcd, err))
}

// mayHelp says whether another member may do what one without a leader has
// refused, so many times before. It waits until that may be connected: which
// one is asked is not for the client to choose.
func (c *client) mayHelp(ctx context.Context, err error, refused int) bool {
	if !errors.Is(err, rpctypes.ErrNoLeader) || refused >= anotherMember*len(c.config.Endpoints) {
		return false
	}
	select {
	case <-time.After(refusedPause):
		return true
	case <-ctx.Done():
		return false
	}
}

// hint says what a connection that breaks may lack. A server that misses a
// certificate hangs up, and only sometimes is its reason read before.
func (c *client) hint(err error) error {
	if err == nil || !c.unproven {
		return err
	}
	for _, sign := range []string{"certificate required", "broken pipe", "connection reset", "error reading server preface"} {
		if strings.Contains(err.Error(), sign) {
			return fmt.Errorf("%w: if etcd asks for a client certificate, set tls::cert_file and tls::key_file", err)
		}
	}
	return err
}

func loggedOut(err error) bool {
	for _, sign := range []error{rpctypes.ErrAuthFailed, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return false
}

// explainLeases says what to do about a refusal of the list of leases.
func explainLeases(err error) error {
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("%w: the user needs read of all keys with leases, or the role root; or set leases::mode to watched", err)
	}
	return explain(err)
}

// explain says what to do about a refusal.
func explain(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%w: the user needs read of the whole prefix", err)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%w: check username and password", err)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: set username and password", err)
	default:
		return err
	}
}
