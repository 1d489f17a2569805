// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package acltoken observes the receiver's own ACL token.
package acltoken

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/poll"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is polled.
const Endpoint = "acl/token/self"

// Interval is the time between two reads of the token.
const Interval = time.Minute

// Kind returns what observes the token.
func Kind(cfg Config) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Agent, New: func(e *collect.Env) collect.Collector {
		return &collector{Env: e, cfg: cfg}
	}}
}

type collector struct {
	*collect.Env
	cfg Config
	off bool // ACLs are: Consul would log each read as an error

	mu     sync.Mutex
	token  Token
	expiry Expiry
}

// Run implements collect.Collector.
func (c *collector) Run(ctx context.Context) {
	collect.Poll[Token, Expiring]{
		Env: c.Env, Endpoint: Endpoint, Interval: Interval, Read: c.read, Lock: &c.mu,
		Step: func(now time.Time, read poll.Result[Token]) []Expiring {
			c.token = read.Value
			return c.expiry.Step(now, read.Value, c.cfg.ExpiryWarning)
		},
		Fork: func() watch.Fork[collect.StepRead[Token, Expiring]] {
			return watch.ForkUnsaved(c.expiry.Clone(), func(expiry *Expiry) collect.StepRead[Token, Expiring] {
				return func(now time.Time, read poll.Result[Token]) []Expiring {
					return expiry.Step(now, read.Value, c.cfg.ExpiryWarning)
				}
			})
		},
		Render: Render,
	}.Run(ctx)
}

func (c *collector) read(ctx context.Context) (Token, error) {
	if c.off {
		return Token{}, nil
	}
	token, err := Read(ctx, c.API)
	if consulapi.StatusCode(err) == http.StatusUnauthorized && strings.Contains(err.Error(), "ACL support disabled") {
		c.off = true
		return Token{}, nil
	}
	return token, err
}

// Read reads the receiver's own token.
func Read(ctx context.Context, c *consulapi.Client) (Token, error) {
	entry, _, err := consulapi.Get[struct {
		AccessorID     string `answer:"required"`
		ExpirationTime time.Time
	}](ctx, c, Endpoint, consulapi.Query{})
	return Token{Accessor: entry.AccessorID, Expires: entry.ExpirationTime}, err
}

// Record implements collect.Collector.
func (c *collector) Record(_ context.Context, m collect.Metrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Answers && c.Up(Endpoint) {
		RecordToken(m, c.token)
	}
}
