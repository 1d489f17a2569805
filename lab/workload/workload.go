// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package workload runs a small workload on real servers, which an observer
// should be able to report afterwards: a service fails and recovers, clients
// contend for a lock and lead after each other, leases expire, keys change, Vault is sealed and unsealed,
// customers visit a shop.
package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
)

// What the workload is about.
const (
	Service = "web" // the Consul service, and the ID of its check

	KeyPrefix  = "/demo/config/"    // etcd keys that change
	LockPrefix = "/demo/locks/"     // etcd locks that are contended
	Lock       = LockPrefix + "job" // the lock that is contended
	Contenders = 3

	ElectionPrefix = "/demo/elections/"        // etcd elections
	Election       = ElectionPrefix + "leader" // the election that is held
	Candidates     = 2                         // who lead one after the other

	LeasedPrefix = "/demo/workers/"          // etcd keys that live as long as a lease
	LeasedKey    = LeasedPrefix + "worker-1" // the key whose lease expires

	ConsulPrefix = "demo/"                    // Consul keys that change
	ConsulLock   = ConsulPrefix + "locks/job" // the lock in Consul, which one client takes after the other
	Holders      = 2
)

// Workload is one run of it.
type Workload struct {
	Lab *lab.Lab

	// OTLP is the URL where the application sends its traces, and
	// Audit host:port of the observer's socket for Vault's audit device.
	OTLP, Audit string

	// Shop is the application's other half, which is scraped.
	Shop *shop.Shop

	// Pace is how long each state is held: longer than the interval at which
	// the observer polls, or it cannot observe it.
	Pace time.Duration

	// Progress gets, in one line, what happens next, one call at a time.
	Progress func(string)

	reporting sync.Mutex
}

func (s *Workload) report(line string) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.Progress(line)
}

// Prepare makes what must be there, and healthy, before the observer starts.
func (s *Workload) Prepare(ctx context.Context) error {
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
	return s.prepareVault(ctx)
}

// Run drives the three servers and the shop at once and returns when all is well again.
func (s *Workload) Run(ctx context.Context) error {
	acts, ctx := errgroup.WithContext(ctx)
	acts.Go(func() error { return s.failCheck(ctx) })
	acts.Go(func() error { return s.takeTurns(ctx) })
	acts.Go(func() error { return s.changeConsulKeys(ctx) })
	acts.Go(func() error { return s.RunEtcd(ctx) })
	acts.Go(func() error { return s.vault(ctx) })
	acts.Go(func() error { return s.serve(ctx) })
	return acts.Wait()
}

// RunEtcd drives etcd alone.
func (s *Workload) RunEtcd(ctx context.Context) error {
	acts, ctx := errgroup.WithContext(ctx)
	acts.Go(func() error { return s.contend(ctx) })
	acts.Go(func() error { return s.handOver(ctx) })
	acts.Go(func() error { return s.expire(ctx) })
	acts.Go(func() error { return s.changeKeys(ctx) })
	return acts.Wait()
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
