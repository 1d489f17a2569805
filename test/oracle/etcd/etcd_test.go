// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// quota is the size of the database at which etcd takes no more.
const quota = 24 << 20

// TestOneMember is the widest workload, on one member.
func TestOneMember(t *testing.T) {
	searches(t)
	t.Parallel()
	s := start(t, wide, lab.ServerOptions{ExtraArgs: []string{fmt.Sprintf("--quota-backend-bytes=%d", quota)}})
	actors := []oracle.Actor{s.writer(0, 60*time.Millisecond), s.writer(1, 300*time.Millisecond), s.compactor()}
	for i := range 3 {
		actors = append(actors,
			s.contender(prefixLocks+"shared/Schlüssel", i), s.contender(prefixApp+"mutex", i), s.candidate(prefixElections+"shared", i), s.leaser(i))
	}
	actors = append(actors, s.contender(prefixLocks+"alone", 0))
	if foreignKeysQueue {
		actors = append(actors, s.contender(prefixLocks+"nested", 0), s.contender(prefixLocks+"nested", 1), s.contender(prefixLocks+"nested/below", 0), s.intruder(prefixLocks+"nested"))
	}
	for _, c := range s.clis() {
		actors = append(actors, c.writer(), c.lockers())
	}
	s.run(t, actors, []oracle.Fault{
		s.RefusalFault(s.sink, "logs refused", 8*time.Second, oracle.Logs),
		s.RefusalFault(s.sink, "traces refused", 8*time.Second, oracle.Traces),
		s.RefusalFault(s.sink, "metrics refused", 8*time.Second, oracle.Metrics),
		s.RefusalFault(s.sink, "all refused", 8*time.Second, oracle.Logs, oracle.Traces, oracle.Metrics),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed),
		s.compactedWhileAway(),
		s.suspended(),
		s.killed("etcd killed", s.first),
		s.restarted(0),
		s.full(),
	})
}

// TestThreeMembers has another member lead, and others go or be cut off, while all are observed.
func TestThreeMembers(t *testing.T) {
	t.Parallel()
	s := start(t, narrow, lab.ServerOptions{Members: 3, Partitionable: true})
	actors := []oracle.Actor{
		s.writer(0, 100*time.Millisecond), s.writer(1, 300*time.Millisecond), s.compactor(), s.leaser(0),
		s.contender(prefixLocks+"shared", 0), s.contender(prefixLocks+"shared", 1), s.candidate(prefixElections+"shared", 0), s.candidate(prefixElections+"shared", 1),
	}
	s.run(t, actors, []oracle.Fault{
		s.leaderMoved(),
		s.killed("leader killed", s.etcd.Leader),
		s.killed("follower killed", s.follower),
		s.partitioned("leader cut off", s.etcd.Leader),
		s.partitioned("follower cut off", s.follower),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed, oracle.Logs),
	})
}

// TestLearners adds a learner that is observed from the beginning, promotes and removes it.
func TestLearners(t *testing.T) {
	t.Parallel()
	s := newSystem(t, narrow, lab.ServerOptions{})
	learner := s.newLearner(t)
	s.observe(t, append(slices.Clone(s.etcd.Endpoints), learner.endpoint), "")
	actors := []oracle.Actor{s.writer(0, 100*time.Millisecond), s.leaser(0), s.contender(prefixLocks+"shared", 0), s.contender(prefixLocks+"shared", 1)}
	s.run(t, actors, []oracle.Fault{
		learner.comesAndGoes(),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed, oracle.Traces),
	})
}

// TestRestores goes back to backups, which brings back what was gone, and takes away what
// came.
func TestRestores(t *testing.T) {
	searches(t)
	t.Parallel()
	s := start(t, narrow, lab.ServerOptions{})
	faults := []oracle.Fault{
		s.restored(faultRestored, restoring{}),
		s.restored(faultRestored+" while the collector was killed", restoring{killed: true}),
		s.RefusalFault(s.sink, "logs refused", 8*time.Second, oracle.Logs),
	}
	if bumpedRestores {
		faults = append(faults, s.restored(faultRestored+" with higher revisions", restoring{bump: 1_000_000}))
	}
	if overtakingRestores {
		faults = append(faults, s.restored(faultRestored+" and overtaken", restoring{overtaken: true}))
	}
	s.run(t, s.restorable(), faults)
}

// TestAnotherCluster has another cluster answer where one was observed.
func TestAnotherCluster(t *testing.T) {
	searches(t)
	t.Parallel()
	s := start(t, narrow, lab.ServerOptions{})
	s.run(t, s.restorable(), []oracle.Fault{
		s.restored(faultRestored+" as another cluster", restoring{another: true}),
		s.killed("etcd killed", s.first),
	})
}

// restorable are actors of which each operation is over when etcd goes back to a backup.
func (s *system) restorable() []oracle.Actor {
	return []oracle.Actor{
		s.writer(0, 100*time.Millisecond), s.writer(1, 300*time.Millisecond), s.leaser(0), s.stayer(prefixLocks + "stays"), s.stayer(prefixElections + "stays"),
		s.contender(prefixLocks+"shared", 0), s.contender(prefixLocks+"shared", 1), s.candidate(prefixElections+"shared", 0),
	}
}

// TestAuth turns authentication on and off, takes rights away and gives them back, and
// rotates the password.
func TestAuth(t *testing.T) {
	t.Parallel()
	s := newSystem(t, narrow, lab.ServerOptions{})
	endpoints := slices.Clone(s.etcd.Endpoints)
	var learner *learner
	if learnersWithAuth {
		learner = s.newLearner(t)
		endpoints = append(endpoints, learner.endpoint)
	}
	s.observe(t, endpoints, s.users(t))
	faults := []oracle.Fault{s.narrowed(), s.rotated(), s.toggled(), s.KillFault(s.sink, s.collector, "collector killed", s.observed)}
	if learnersWithAuth {
		faults = append(faults, learner.comesAndGoes())
	}
	require.NoError(t, s.turnOn(t.Context()))
	s.run(t, []oracle.Actor{
		s.writer(0, 100*time.Millisecond), s.leaser(0), s.contender(prefixLocks+"shared", 0), s.contender(prefixLocks+"shared", 1), s.candidate(prefixElections+"shared", 0),
	}, faults)
}

// TestProxy observes through a grpc-proxy, which others use too.
func TestProxy(t *testing.T) {
	t.Parallel()
	s := newSystem(t, narrow, lab.ServerOptions{})
	proxy := s.startProxy(t)
	s.observe(t, []string{proxy.endpoint}, "")
	if proxiedWatches {
		proxy.watchToo(t)
	}
	s.run(t, []oracle.Actor{
		s.writer(0, 100*time.Millisecond), s.leaser(0), s.contender(prefixLocks+"shared", 0), s.contender(prefixLocks+"shared", 1), s.candidate(prefixElections+"shared", 0),
	}, []oracle.Fault{
		proxy.killed(),
		s.killed("etcd killed", s.first),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed),
	})
}

// TestHeartbeats grants a lease for each heartbeat, with the default budget.
func TestHeartbeats(t *testing.T) {
	if !heartbeatLeases {
		t.Skip("the receiver cannot follow a lease for each heartbeat yet, see known_test.go")
	}
	t.Parallel()
	s := newSystem(t, narrow, lab.ServerOptions{})
	s.observe(t, s.etcd.Endpoints, "    leases: {requests_per_second: 10}\n")
	var actors []oracle.Actor
	for i := range 8 {
		actors = append(actors, s.heart(i, 20))
	}
	s.run(t, actors, []oracle.Fault{s.KillFault(s.sink, s.collector, "collector killed", s.observed)})
}

func (s *system) first(context.Context) (int, error) { return 0, nil }

// run has the workload and the faults happen, and compares when all is quiet.
func (s *system) run(t *testing.T, actors []oracle.Actor, faults []oracle.Fault) {
	t.Helper()
	s.Play(t, actors, faults, s.quiet, s.compare)
}
