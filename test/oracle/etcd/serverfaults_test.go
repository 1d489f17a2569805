// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// down is the longest time for which a member is away.
const down = 3 * time.Second

// serverFault has a member go away, and come back.
func (s *system) serverFault(name string, away func(context.Context, *rand.Rand) error) oracle.Fault {
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		began := time.Now()
		if err := away(ctx, random); err != nil {
			return err
		}
		return s.isBack(ctx, name, began)
	}}
}

// isBack waits until all is observed again since a fault began.
func (s *system) isBack(ctx context.Context, name string, began time.Time) error {
	if err := s.observed(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// Members are observed with the next status request and the next collection.
	oracle.Sleep(ctx, 2*time.Second)
	s.AddWindow(oracle.Window{From: began, Until: time.Now(), Why: name})
	return ctx.Err()
}

func (s *system) killed(name string, member func(context.Context) (int, error)) oracle.Fault {
	return s.serverFault(name, func(ctx context.Context, random *rand.Rand) error {
		away := time.Duration(random.Int64N(int64(down)))
		i, err := member(ctx)
		if err != nil {
			return err
		}
		if err := s.etcd.Members[i].Kill(); err != nil {
			return err
		}
		oracle.Sleep(ctx, away)
		return s.etcd.Members[i].Restart(ctx)
	})
}

// follower returns a member that does not lead.
func (s *system) follower(ctx context.Context) (int, error) {
	leader, err := s.etcd.Leader(ctx)
	return (leader + 1) % len(s.etcd.Members), err
}

// leaderMoved has another member lead.
func (s *system) leaderMoved() oracle.Fault {
	return s.serverFault("leader moved", func(ctx context.Context, random *rand.Rand) error {
		by := 1 + random.IntN(len(s.etcd.Members)-1)
		leader, err := s.etcd.Leader(ctx)
		if err != nil {
			return err
		}
		to, err := s.client.Status(ctx, s.etcd.Endpoints[(leader+by)%len(s.etcd.Members)])
		if err != nil {
			return err
		}
		of := s.newClient(s.T, s.etcd.Endpoints[leader])
		_, err = of.MoveLeader(ctx, to.Header.MemberId)
		return err
	})
}

// partitioned cuts a member off from the others, and not from the collector.
func (s *system) partitioned(name string, member func(context.Context) (int, error)) oracle.Fault {
	return s.serverFault(name, func(ctx context.Context, random *rand.Rand) error {
		lasts := 2*time.Second + time.Duration(random.Int64N(int64(4*time.Second)))
		i, err := member(ctx)
		if err != nil {
			return err
		}
		s.etcd.Partition(i)
		oracle.Sleep(ctx, lasts)
		s.etcd.Heal(i)
		return nil
	})
}

func (s *system) restarted(member int) oracle.Fault {
	return s.serverFault("etcd restarted", func(ctx context.Context, _ *rand.Rand) error {
		return s.etcd.Members[member].Restart(ctx)
	})
}

// compactedWhileAway kills the collector, and has etcd compact what changes meanwhile.
func (s *system) compactedWhileAway() oracle.Fault {
	const name = "compacted while the collector was killed"
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		away := time.Second + time.Duration(random.Int64N(int64(down)))
		began := time.Now().Add(-2 * time.Second)
		if err := s.collector.Kill(); err != nil {
			return err
		}
		oracle.Sleep(ctx, away)
		revision, err := s.history.catchUp(ctx)
		if err != nil {
			return err
		}
		if err := s.insist(ctx, func(ctx context.Context) error { return alreadyCompacted(s.compact(ctx, revision)) }); err != nil {
			return err
		}
		oracle.Sleep(ctx, away/4)
		if err := s.collector.Restart(ctx); err != nil {
			return err
		}
		if err := s.observed(ctx); err != nil {
			return err
		}
		oracle.Sleep(ctx, 2*time.Second)
		s.AddWindow(oracle.Window{From: began, Until: time.Now(), Why: name, Silent: true})
		return nil
	}}
}

func alreadyCompacted(err error) error {
	if err != nil && strings.Contains(err.Error(), "compacted") {
		return nil
	}
	return err
}

// suspended halts the collector for some seconds.
func (s *system) suspended() oracle.Fault {
	const name = "collector suspended"
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		began := time.Now()
		if err := s.collector.Process().Suspend(); err != nil {
			return nil //nolint:nilerr // a process can be halted on Linux only
		}
		oracle.Sleep(ctx, time.Second+time.Duration(random.Int64N(int64(down))))
		if err := s.collector.Process().Resume(); err != nil {
			return err
		}
		return s.isBack(ctx, name, began)
	}}
}

// full fills etcd up to its quota until it raises an alarm, and makes room again.
func (s *system) full() oracle.Fault {
	const name = "quota used up"
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		lasts := 3*time.Second + time.Duration(random.Int64N(int64(3*time.Second)))
		value := strings.Repeat("x", 1<<20)
		began := time.Now()
		for i := range 64 {
			asking, enough := context.WithTimeout(ctx, request)
			_, err := s.client.Put(asking, fmt.Sprintf("%sfill/%d", prefixOther, i), value)
			enough()
			if err != nil && strings.Contains(err.Error(), "database space exceeded") {
				break
			}
		}
		oracle.Sleep(ctx, lasts)
		if err := s.insist(ctx, func(ctx context.Context) error {
			_, err := s.client.Delete(ctx, prefixOther+"fill/", clientv3.WithPrefix())
			return err
		}); err != nil {
			return err
		}
		revision, err := s.history.catchUp(ctx)
		if err != nil {
			return err
		}
		if err := s.insist(ctx, func(ctx context.Context) error { return alreadyCompacted(s.compact(ctx, revision)) }); err != nil {
			return err
		}
		if err := s.insist(ctx, func(ctx context.Context) error {
			_, err := s.client.Defragment(ctx, s.etcd.Endpoints[0])
			return err
		}); err != nil {
			return err
		}
		if err := s.insist(ctx, func(ctx context.Context) error {
			_, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
			return err
		}); err != nil {
			return err
		}
		return s.isBack(ctx, name, began)
	}}
}
