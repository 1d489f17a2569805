// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

// seen is how long a key in Consul stays as it is, at least: a watch may report
// what changes within a second as one change.
const seen = 1200 * time.Millisecond

func (s *Workload) consul() (*api.Client, error) {
	client, err := api.NewClient(&api.Config{Address: s.Lab.Consul.Addr, Token: s.Lab.Consul.Token})
	if err != nil {
		return nil, fmt.Errorf("make a consul client: %w", err)
	}
	return client, nil
}

func (s *Workload) failCheck(ctx context.Context) error {
	client, err := s.consul()
	if err != nil {
		return err
	}
	for _, status := range []string{api.HealthCritical, api.HealthPassing} {
		s.report("consul: service " + Service + " turns " + status)
		if err := client.Agent().UpdateTTLOpts(Service, "set by the demo", status, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("set check %s to %s: %w", Service, status, err)
		}
		if err := pause(ctx, s.Pace); err != nil {
			return err
		}
	}
	return nil
}

// takeTurns has clients hold the lock one after the other, free in between.
func (s *Workload) takeTurns(ctx context.Context) error {
	for i := range Holders {
		s.report(fmt.Sprintf("consul: client %d takes the lock %s", i+1, ConsulLock))
		if err := s.holdInConsul(ctx); err != nil {
			return err
		}
		if err := s.linger(ctx); err != nil {
			return err
		}
	}
	return nil
}

// holdInConsul holds the lock in a session of its own, and ends that. A session
// that the lock makes would end some time after.
func (s *Workload) holdInConsul(ctx context.Context) (err error) {
	client, err := s.consul()
	if err != nil {
		return err
	}
	session, _, err := client.Session().Create(&api.SessionEntry{Name: "demo"}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	defer func() { // also when the workload is interrupted
		_, destroyed := client.Session().Destroy(session, nil)
		err = errors.Join(err, destroyed)
	}()
	lock, err := client.LockOpts(&api.LockOptions{Key: ConsulLock, Session: session})
	if err != nil {
		return fmt.Errorf("lock %s: %w", ConsulLock, err)
	}
	if held, err := lock.Lock(ctx.Done()); held == nil {
		return fmt.Errorf("lock %s: %w", ConsulLock, errors.Join(err, ctx.Err()))
	}
	return errors.Join(s.linger(ctx), lock.Unlock())
}

func (s *Workload) changeConsulKeys(ctx context.Context) error {
	client, err := s.consul()
	if err != nil {
		return err
	}
	s.report("consul: keys under " + ConsulPrefix + " are created, updated and deleted")
	const key = ConsulPrefix + "config/rate"
	write := (&api.WriteOptions{}).WithContext(ctx)
	_, created := client.KV().Put(&api.KVPair{Key: key, Value: []byte("10")}, write)
	paused := s.linger(ctx)
	_, updated := client.KV().Put(&api.KVPair{Key: key, Value: []byte("20")}, write)
	paused = errors.Join(paused, s.linger(ctx))
	_, deleted := client.KV().Delete(key, write)
	if err := errors.Join(created, updated, deleted, paused); err != nil {
		return fmt.Errorf("change keys under %s: %w", ConsulPrefix, err)
	}
	return nil
}

// linger is half of the pace, but long enough for a watch to see what is.
func (s *Workload) linger(ctx context.Context) error { return pause(ctx, max(s.Pace/2, seen)) }
