// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// faultRestored begins the names of the faults after which etcd has another history.
const faultRestored = "restored"

func isRestore(w oracle.Window) bool { return strings.HasPrefix(w.Why, faultRestored) }

// lostRevisions are how many revisions are lost at least.
const lostRevisions = 100

// restoring is how a backup is restored.
type restoring struct {
	bump      int64 // by which all revisions are higher than in the backup; what was before is compacted
	another   bool  // as another cluster
	killed    bool  // while the collector is not there
	overtaken bool  // more is written than was lost before the collector observes it
}

// restored takes a backup, lets the workload go on, and goes back to it.
func (s *system) restored(name string, how restoring) oracle.Fault {
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		later := time.Duration(random.Int64N(int64(4 * time.Second)))
		file := filepath.Join(s.T.TempDir(), "backup.db")
		revision, err := s.backup(ctx, file)
		if err != nil {
			return err
		}
		oracle.Sleep(ctx, later)
		if err := s.fill(ctx); err != nil {
			return err
		}
		began := time.Now()
		if how.killed {
			began = began.Add(-2 * time.Second)
			if err := s.collector.Kill(); err != nil {
				return err
			}
		}
		if how.overtaken {
			if err := s.collector.Process().Suspend(); err != nil {
				return err
			}
		}
		if err := s.restore(ctx, file, revision, how); err != nil {
			return err
		}
		oracle.Sleep(ctx, 2*time.Second)
		s.AddWindow(oracle.Window{From: began, Until: time.Now(), Why: name, Silent: how.killed})
		return nil
	}}
}

// fill makes revisions under each prefix that are lost with a backup of before, so that
// what is written until the collector has noticed does not overtake them.
func (s *system) fill(ctx context.Context) error {
	for range lostRevisions {
		var ops []clientv3.Op
		for _, covering := range s.prefixes.covering() {
			ops = append(ops, clientv3.OpPut(covering+"filler", ""))
		}
		if _, err := s.client.Txn(ctx).Then(ops...).Commit(); err != nil {
			return err
		}
	}
	oracle.Sleep(ctx, time.Second) // They are observed.
	return ctx.Err()
}

// resume has the collector go on.
func (s *system) resume(ctx context.Context, how restoring) error {
	switch {
	case how.killed:
		return s.collector.Restart(ctx)
	case how.overtaken:
		return s.collector.Process().Resume()
	}
	return nil
}

// backup saves a snapshot, and returns its revision.
func (s *system) backup(ctx context.Context, file string) (revision int64, err error) {
	content, err := s.client.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	to, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	if _, err := io.Copy(to, content); err != nil {
		return 0, err
	}
	output, err := s.etcdutl(ctx, "snapshot", "status", file, "--write-out=json")
	if err != nil {
		return 0, err
	}
	var status struct{ Revision int64 }
	if err := json.Unmarshal(output, &status); err != nil {
		return 0, err
	}
	return status.Revision, nil
}

func (s *system) etcdutl(ctx context.Context, args ...string) ([]byte, error) {
	binary, err := lab.Binary(ctx, "etcdutl", nil)
	if err != nil {
		return nil, err
	}
	output, err := exec.CommandContext(ctx, binary, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("etcdutl %v: %w: %s", args, err, output)
	}
	return output, nil
}

// restore goes back to a backup while the workload rests.
func (s *system) restore(ctx context.Context, file string, revision int64, how restoring) error {
	s.Gate.Lock()
	defer s.Gate.Unlock()
	lost, err := s.history.catchUp(ctx)
	if err != nil {
		return err
	}
	members, err := s.client.MemberList(ctx)
	if err != nil {
		return err
	}
	before, err := s.aliveLeases(ctx)
	if err != nil {
		return err
	}
	peer := members.Members[0].PeerURLs[0]
	s.history.end()
	if err := s.etcd.Members[0].Kill(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.home(0)); err != nil {
		return err
	}
	args := []string{"snapshot", "restore", file, "--data-dir=" + s.home(0), "--name=etcd", "--initial-cluster=etcd=" + peer, "--initial-advertise-peer-urls=" + peer}
	if how.bump > 0 {
		args = append(args, fmt.Sprintf("--bump-revision=%d", how.bump), "--mark-compacted")
		s.mu.Lock()
		s.compactions = append(s.compactions, revision+how.bump)
		s.mu.Unlock()
	}
	if how.another {
		s.formerClusters = append(s.formerClusters, hex(members.Header.ClusterId))
		args = append(args, fmt.Sprintf("--initial-cluster-token=another-%d", len(s.formerClusters)))
	}
	if _, err := s.etcdutl(ctx, args...); err != nil {
		return err
	}
	epochs, err := s.history.all()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.etcd.Members[0].Restart(ctx); err != nil {
		return err
	}
	if err := s.leasesLost(ctx, before, began); err != nil {
		return err
	}
	s.history.begin(context.WithoutCancel(ctx), &epoch{
		from: revision + how.bump, common: revision, base: epochs[len(epochs)-1].at(revision), began: began,
	})
	if how.overtaken {
		for range lost - revision + 50 {
			if _, err := s.client.Put(ctx, prefixApp+"overtakes", "x"); err != nil {
				return err
			}
		}
	}
	if err := s.resume(ctx, how); err != nil {
		return err
	}
	if err := s.observed(ctx); err != nil {
		return err
	}
	return s.revokeRevived(ctx)
}

// leasesLost notes that leases are lost that a backup does not have.
func (s *system) leasesLost(ctx context.Context, before map[string]bool, began time.Time) error {
	after, err := s.aliveLeases(ctx)
	for id := range before {
		if lease, err := strconv.ParseUint(id, 16, 64); err == nil && !after[id] {
			s.leaseEndsFrom(int64(lease), causeUnknown, began) //nolint:gosec // an ID has 64 bits
		}
	}
	return err
}

// revokeRevived revokes the leases that a backup brought back, except those that last.
func (s *system) revokeRevived(ctx context.Context) error {
	answer, err := s.client.Leases(ctx)
	if err != nil {
		return err
	}
	for _, lease := range answer.Leases {
		if s.lasts(int64(lease.ID)) {
			s.granted(int64(lease.ID), lasting)
			continue
		}
		if err := s.insist(ctx, func(ctx context.Context) error { return notFound(s.revoke(ctx, int64(lease.ID))) }); err != nil {
			return err
		}
	}
	return nil
}

func notFound(err error) error {
	if err != nil && strings.Contains(err.Error(), "lease not found") {
		return nil
	}
	return err
}

// lasts says whether a lease was granted for longer than the run takes.
func (s *system) lasts(lease int64) bool {
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	for id, l := range s.ends.leases {
		if id.id == lease && l.ttl == lasting {
			return true
		}
	}
	return false
}
