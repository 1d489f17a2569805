// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package story drives real servers through a small story that an observer
// should be able to tell afterwards: a service fails and recovers, clients
// contend for a lock, keys change, Vault is sealed and unsealed.
package story

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// What the story is about.
const (
	Service    = "web"              // the Consul service, and the ID of its check
	KeyPrefix  = "/demo/config/"    // etcd keys that change
	LockPrefix = "/demo/locks/"     // etcd locks that are contended
	Lock       = LockPrefix + "job" // the lock of the story
	Contenders = 3

	ConsulPrefix = "demo/"                    // Consul keys that change
	ConsulLock   = ConsulPrefix + "locks/job" // the lock in Consul, which one client takes after the other
	Holders      = 2
)

// Story is one telling.
type Story struct {
	Lab *lab.Lab

	// Pace is how long each state is held: longer than the interval at which
	// the observer polls, or it cannot see it.
	Pace time.Duration

	// Progress is told, in one line, what happens next, one call at a time.
	Progress func(string)

	telling sync.Mutex
}

func (s *Story) say(line string) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.Progress(line)
}

// Prepare makes what must be there, and healthy, before the observer starts.
func (s *Story) Prepare(ctx context.Context) error {
	client, err := s.consul()
	if err != nil {
		return err
	}
	err = client.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{
		Name:  Service,
		Port:  8080,
		Check: &api.AgentServiceCheck{CheckID: Service, Name: "web answers", TTL: "24h", Status: api.HealthPassing},
	}, api.ServiceRegisterOpts{}.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("register service %s: %w", Service, err)
	}
	return nil
}

// Tell drives the three servers at once and returns when all is well again.
func (s *Story) Tell(ctx context.Context) error {
	acts, ctx := errgroup.WithContext(ctx)
	acts.Go(func() error { return s.failCheck(ctx) })
	acts.Go(func() error { return s.takeTurns(ctx) })
	acts.Go(func() error { return s.changeConsulKeys(ctx) })
	acts.Go(func() error { return s.contend(ctx) })
	acts.Go(func() error { return s.changeKeys(ctx) })
	acts.Go(func() error { return s.sealVault(ctx) })
	return acts.Wait()
}

func (s *Story) etcd() (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: s.Lab.Etcd.Endpoints, DialTimeout: 5 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("make an etcd client: %w", err)
	}
	return client, nil
}

func (s *Story) contend(ctx context.Context) error {
	client, err := s.etcd()
	if err != nil {
		return err
	}
	s.say(fmt.Sprintf("etcd: %d clients contend for the lock %s", Contenders, Lock))
	contenders, ctx := errgroup.WithContext(ctx)
	for range Contenders {
		contenders.Go(func() error { return hold(ctx, client, s.Pace/Contenders) })
	}
	return errors.Join(contenders.Wait(), client.Close())
}

func hold(ctx context.Context, client *clientv3.Client, d time.Duration) error {
	session, err := concurrency.NewSession(client, concurrency.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	mutex := concurrency.NewMutex(session, Lock)
	if err := mutex.Lock(ctx); err != nil {
		return fmt.Errorf("lock %s: %w", Lock, err)
	}
	if err := pause(ctx, d); err != nil {
		return err
	}
	return errors.Join(mutex.Unlock(ctx), session.Close())
}

func (s *Story) changeKeys(ctx context.Context) error {
	client, err := s.etcd()
	if err != nil {
		return err
	}
	s.say("etcd: keys under " + KeyPrefix + " are created, updated and deleted")
	_, created := client.Put(ctx, KeyPrefix+"rate", "10")
	_, updated := client.Put(ctx, KeyPrefix+"rate", "20")
	_, deleted := client.Delete(ctx, KeyPrefix+"rate")
	if err := errors.Join(created, updated, deleted, client.Close()); err != nil {
		return fmt.Errorf("change keys under %s: %w", KeyPrefix, err)
	}
	return nil
}

func (s *Story) sealVault(ctx context.Context) error {
	s.say("vault: is sealed")
	if err := s.Lab.Vault.Seal(ctx); err != nil {
		return err
	}
	if err := pause(ctx, s.Pace); err != nil {
		return err
	}
	s.say("vault: is unsealed")
	return s.Lab.Vault.Unseal(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
