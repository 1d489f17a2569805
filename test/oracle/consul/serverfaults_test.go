// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// down is the longest time for which a server is away.
const down = 3 * time.Second

// faultRestored is the fault after which Consul is what it was before.
const faultRestored = "snapshot restored"

// serverFault has a server go away, and come back.
func (s *system) serverFault(name string, away func(context.Context, *rand.Rand) error) oracle.Fault {
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		began := time.Now()
		if err := away(ctx, random); err != nil {
			return err
		}
		return s.serverIsBack(ctx, name, began)
	}}
}

// serverIsBack records what became of everything since a fault of the server began.
func (s *system) serverIsBack(ctx context.Context, name string, began time.Time) error {
	if err := s.observed(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.recordAll(ctx, began)
	s.AddWindow(oracle.Window{From: began, Until: time.Now(), Why: name, Unsettled: true})
	return nil
}

func (s *system) serverKilled(member int) oracle.Fault {
	return s.serverFault("server killed", func(ctx context.Context, random *rand.Rand) error {
		server := s.consul.Members[member]
		if err := server.Kill(); err != nil {
			return err
		}
		oracle.Sleep(ctx, time.Duration(random.Int64N(int64(down))))
		return server.Restart(ctx)
	})
}

func (s *system) serverRestarted(member int) oracle.Fault {
	return s.serverFault("server restarted", func(ctx context.Context, _ *rand.Rand) error {
		return s.consul.Members[member].Restart(ctx)
	})
}

// snapshotRestored takes a snapshot, lets the workload go on, and goes back to it.
func (s *system) snapshotRestored() oracle.Fault {
	return oracle.Fault{Name: faultRestored, Happen: func(ctx context.Context, random *rand.Rand) error {
		file := filepath.Join(s.T.TempDir(), "backup.snap")
		if err := s.cli(ctx, "snapshot", "save", file); err != nil {
			return err
		}
		oracle.Sleep(ctx, time.Duration(random.Int64N(int64(5*time.Second))))
		began, err := s.restore(ctx, file)
		if err != nil {
			return err
		}
		return s.serverIsBack(ctx, faultRestored, began)
	}}
}

// restore goes back to a snapshot while the workload rests, and reads what there is then.
func (s *system) restore(ctx context.Context, file string) (began time.Time, err error) {
	s.Gate.Lock()
	defer s.Gate.Unlock()
	for _, d := range s.domains {
		d.Poll(ctx) // Sessions expire by themselves.
	}
	began = time.Now()
	if err := s.cli(ctx, "snapshot", "restore", file); err != nil {
		return began, err
	}
	for _, d := range s.domains {
		d.RecordRestored(ctx, began)
	}
	return began, nil
}

// leaderTransferred has another server lead. Keys are not read while none does.
func (s *system) leaderTransferred() oracle.Fault {
	const name = "leader transferred"
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, _ *rand.Rand) error {
		began := time.Now()
		before, err := s.consul.Leader(ctx)
		if err != nil {
			return err
		}
		oracle.Until(ctx, time.Second, func() bool { // A transfer can fail, and the old leader can win the next election.
			_, _ = s.client.Operator().RaftLeaderTransfer("", (&api.QueryOptions{}).WithContext(ctx))
			now, err := s.consul.Leader(ctx)
			return err == nil && now != before
		})
		return s.serverIsBack(ctx, name, began)
	}}
}
