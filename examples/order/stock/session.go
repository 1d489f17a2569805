// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// instances is where instances register: the key ends in the name of the
// instance and has the lease of its session, so that who holds a lock can be
// found by the lease of the lock's key.
const instances = "/order/instances/"

// sessionTTL is in seconds how long locks and registration outlive an instance
// that was killed.
const sessionTTL = 5

var errNoSession = errors.New("no etcd session; it is made anew when etcd is reachable")

// sessions keeps an instance registered: it makes a session of etcd, and
// another one when that is lost.
type sessions struct {
	client         *clientv3.Client
	instance, addr string

	mu      sync.Mutex
	current *concurrency.Session
}

// get returns the session that is alive.
func (s *sessions) get() (*concurrency.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.Ctx().Err() != nil {
		return nil, errNoSession
	}
	return s.current, nil
}

// run returns when ctx ends and the last session is closed, or at once when
// the first cannot be made.
func (s *sessions) run(ctx context.Context, ready func()) error {
	session, err := s.open(ctx)
	if err != nil {
		return err
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			// Revokes the lease: locks and registration go at once.
			return session.Close()
		case <-session.Done():
		}
		slog.Warn("the etcd session was lost and is made anew", "lease", leaseID(session.Lease()))
		for {
			if session, err = s.open(ctx); err == nil {
				break
			}
			slog.Warn("no etcd session yet", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
		}
	}
}

// open makes a session and registers the instance with its lease.
func (s *sessions) open(ctx context.Context) (*concurrency.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	grant, err := s.client.Grant(ctx, sessionTTL)
	if err != nil {
		return nil, fmt.Errorf("grant the lease of an etcd session: %w", err)
	}
	session, err := concurrency.NewSession(s.client, concurrency.WithLease(grant.ID), concurrency.WithTTL(sessionTTL))
	if err != nil {
		return nil, fmt.Errorf("make an etcd session: %w", err)
	}
	if _, err := s.client.Put(ctx, instances+s.instance, s.addr, clientv3.WithLease(session.Lease())); err != nil {
		session.Orphan() // its lease expires
		return nil, fmt.Errorf("register %s in etcd: %w", s.instance, err)
	}
	s.mu.Lock()
	s.current = session
	s.mu.Unlock()
	slog.Info("registered in etcd", "instance", s.instance, "lease", leaseID(session.Lease()))
	return session, nil
}

// leaseID is a lease as etcd's own tools write it.
func leaseID(id clientv3.LeaseID) string { return fmt.Sprintf("%x", int64(id)) }
