// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"testing"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// TestOneServer is the widest workload, on one server.
func TestOneServer(t *testing.T) {
	t.Parallel()
	s := start(t, wide, lab.ServerOptions{})
	var actors []oracle.Actor
	for i := range 6 {
		actors = append(actors, s.fleet(i))
	}
	for i := range 3 {
		actors = append(actors, s.locker(i), s.visitor(i), s.writer(i, i == 0))
	}
	actors = append(actors, s.configurer(), s.agentServices("lab"), s.checkedLocker("lab"), s.announcer(), s.cliLocker(0, 1, 1), s.cliLocker(1, 1, 2), s.cliLocker(2, 2, 3))
	s.run(t, actors, []oracle.Fault{
		s.RefusalFault(s.sink, "logs refused", 8*time.Second, oracle.Logs),
		s.RefusalFault(s.sink, "traces refused", 8*time.Second, oracle.Traces),
		s.RefusalFault(s.sink, "metrics refused", 8*time.Second, oracle.Metrics),
		s.RefusalFault(s.sink, "all refused", 8*time.Second, oracle.Logs, oracle.Traces, oracle.Metrics),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed),
		s.serverKilled(0),
		s.serverRestarted(0),
	})
}

// run has the workload and the faults happen, and compares when all is quiet.
func (s *system) run(t *testing.T, actors []oracle.Actor, faults []oracle.Fault) {
	t.Helper()
	s.Play(t, actors, faults, s.quiet, func(ctx context.Context) {
		for _, each := range s.systems {
			each.compare(ctx)
		}
	})
}

// TestSnapshots goes back to snapshots, which brings back what was gone, and takes away
// what came.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	s := start(t, narrow, lab.ServerOptions{})
	actors := []oracle.Actor{s.fleet(0), s.fleet(1), s.writer(0, true), s.writer(1, false), s.visitor(0), s.locker(0), s.locker(1)}
	s.run(t, actors, []oracle.Fault{
		s.snapshotRestored(),
		s.RefusalFault(s.sink, "logs refused", 8*time.Second, oracle.Logs),
	})
}

// TestThreeServers has another server lead, and others go, while one is observed.
func TestThreeServers(t *testing.T) {
	t.Parallel()
	s := start(t, narrow, lab.ServerOptions{Members: 3})
	actors := []oracle.Actor{s.fleet(0), s.fleet(1), s.writer(0, true), s.writer(1, false), s.visitor(0), s.locker(0), s.locker(1), s.cliLocker(0, 1, 2)}
	s.run(t, actors, []oracle.Fault{
		s.leaderTransferred(),
		s.serverKilled(1),
		s.serverKilled(0),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed, oracle.Logs),
	})
}
