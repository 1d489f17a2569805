// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
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
	t.Parallel()
	s := start(t, wide, lab.ServerOptions{ExtraArgs: []string{fmt.Sprintf("--quota-backend-bytes=%d", quota)}})
	actors := []oracle.Actor{s.writer(0, 60*time.Millisecond), s.writer(1, 300*time.Millisecond), s.compactor()}
	for i := range 3 {
		actors = append(actors,
			s.contender(prefixLocks+"shared/Schlüssel", i), s.contender(prefixApp+"mutex", i), s.candidate(prefixElections+"shared", i), s.leaser(i))
	}
	actors = append(actors, s.contender(prefixLocks+"alone", 0))
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

func (s *system) first(context.Context) (int, error) { return 0, nil }

// run has the workload and the faults happen, and compares when all is quiet.
func (s *system) run(t *testing.T, actors []oracle.Actor, faults []oracle.Fault) {
	t.Helper()
	injected := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { injected <- s.Inject(ctx, 6*time.Second, faults) }()
	s.Act(ctx, actors)
	require.NoError(t, <-injected)
	oracle.End(ctx, actors)
	require.NoError(t, s.quiet(ctx))
	s.compare(ctx)
}
