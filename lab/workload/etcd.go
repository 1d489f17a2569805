// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// shortest is the time to live, in seconds, of a lease that is to expire: etcd
// grants none that is shorter.
const shortest = 2

func (s *Workload) etcd() (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: s.Lab.Etcd.Endpoints, DialTimeout: 5 * time.Second,
		Logger: zap.NewNop(), // What fails is returned; an interrupted workload need not warn.
	})
	if err != nil {
		return nil, fmt.Errorf("make an etcd client: %w", err)
	}
	return client, nil
}

func (s *Workload) contend(ctx context.Context) error {
	s.report(fmt.Sprintf("etcd: %d clients contend for the lock %s", Contenders, Lock))
	return s.together(ctx, Contenders, func(ctx context.Context, session *concurrency.Session) error {
		mutex := concurrency.NewMutex(session, Lock)
		if err := mutex.Lock(ctx); err != nil {
			return fmt.Errorf("lock %s: %w", Lock, err)
		}
		return errors.Join(pause(ctx, s.Pace/Contenders), mutex.Unlock(ctx))
	})
}

// handOver has the candidates lead one after the other.
func (s *Workload) handOver(ctx context.Context) error {
	s.report(fmt.Sprintf("etcd: %d candidates campaign for %s, and lead in turn", Candidates, Election))
	return s.together(ctx, Candidates, func(ctx context.Context, session *concurrency.Session) error {
		election := concurrency.NewElection(session, Election)
		if err := election.Campaign(ctx, "candidate"); err != nil {
			return fmt.Errorf("campaign for %s: %w", Election, err)
		}
		return errors.Join(pause(ctx, s.Pace/Candidates), election.Resign(ctx))
	})
}

// together has n clients do the same at once, each in a session of its own.
func (s *Workload) together(ctx context.Context, n int, act func(context.Context, *concurrency.Session) error) error {
	client, err := s.etcd()
	if err != nil {
		return err
	}
	actors, ctx := errgroup.WithContext(ctx)
	var opening sync.WaitGroup // Who has opened a session late should not come late.
	opening.Add(n)
	for range n {
		actors.Go(func() error {
			session, err := concurrency.NewSession(client, concurrency.WithContext(ctx))
			opening.Done()
			if err != nil {
				return fmt.Errorf("open a session: %w", err)
			}
			opening.Wait()
			return errors.Join(act(ctx, session), session.Close())
		})
	}
	return errors.Join(actors.Wait(), client.Close())
}

// expire has a lease expire that nobody renews, and its key go with it.
func (s *Workload) expire(ctx context.Context) (err error) {
	client, err := s.etcd()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	s.report("etcd: the lease of " + LeasedKey + " is not renewed, and expires")
	lease, err := client.Grant(ctx, shortest)
	if err != nil {
		return fmt.Errorf("grant a lease: %w", err)
	}
	put, err := client.Put(ctx, LeasedKey, "here", clientv3.WithLease(lease.ID))
	if err != nil {
		return fmt.Errorf("put %s: %w", LeasedKey, err)
	}
	gone := <-client.Watch(ctx, LeasedKey, clientv3.WithRev(put.Header.Revision+1))
	if err := errors.Join(gone.Err(), ctx.Err()); err != nil {
		return fmt.Errorf("wait until %s has expired: %w", LeasedKey, err)
	}
	return nil
}

func (s *Workload) changeKeys(ctx context.Context) error {
	client, err := s.etcd()
	if err != nil {
		return err
	}
	s.report("etcd: keys under " + KeyPrefix + " are created, updated and deleted")
	_, created := client.Put(ctx, KeyPrefix+"rate", "10")
	_, updated := client.Put(ctx, KeyPrefix+"rate", "20")
	_, deleted := client.Delete(ctx, KeyPrefix+"rate")
	if err := errors.Join(created, updated, deleted, client.Close()); err != nil {
		return fmt.Errorf("change keys under %s: %w", KeyPrefix, err)
	}
	return nil
}
