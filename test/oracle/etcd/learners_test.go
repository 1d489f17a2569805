// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// learner is a member that comes and goes.
type learner struct {
	*system
	endpoint, peer, binary string
	times                  int
}

func (s *system) newLearner(t *testing.T) *learner {
	t.Helper()
	ports, err := lab.FreePorts(2)
	require.NoError(t, err)
	binary, err := lab.Binary(t.Context(), "etcd", nil)
	require.NoError(t, err)
	return &learner{
		system: s, binary: binary,
		endpoint: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), peer: fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
	}
}

// comesAndGoes adds the learner, starts and promotes it, and removes it. A cluster of two
// has no leader until the second one has started.
func (l *learner) comesAndGoes() oracle.Fault {
	const name = "learner added, promoted and removed"
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		stays := 4*time.Second + time.Duration(random.Int64N(int64(2*time.Second)))
		began := time.Now()
		l.times++
		others, err := l.client.MemberList(ctx)
		if err != nil {
			return err
		}
		added, err := l.client.MemberAddAsLearner(ctx, []string{l.peer})
		if err != nil {
			return err
		}
		dir := filepath.Join(l.T.TempDir(), fmt.Sprintf("learner-%d", l.times))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		process, err := lab.StartProgram(ctx, lab.ProgramOptions{
			Name: "learner", Binary: l.binary, Dir: dir, ReadyURL: l.endpoint + "/version", Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir},
			Args: []string{
				"--name=learner", "--data-dir=" + filepath.Join(dir, "data"), "--listen-client-urls=" + l.endpoint, "--advertise-client-urls=" + l.endpoint,
				"--listen-peer-urls=" + l.peer, "--initial-advertise-peer-urls=" + l.peer,
				"--initial-cluster=etcd=" + others.Members[0].PeerURLs[0] + ",learner=" + l.peer, "--initial-cluster-state=existing", "--log-level=warn",
			},
		})
		if err != nil {
			return err
		}
		defer process.Kill() //nolint:errcheck // it has ended by then if all goes well
		oracle.Sleep(ctx, stays)
		if err := l.insist(ctx, func(ctx context.Context) error {
			_, err := l.client.MemberPromote(ctx, added.Member.ID)
			return err
		}); err != nil {
			return err
		}
		oracle.Sleep(ctx, stays)
		if err := l.insist(ctx, func(ctx context.Context) error {
			_, err := l.client.MemberRemove(ctx, added.Member.ID)
			return err
		}); err != nil {
			return err
		}
		if err := process.Stop(ctx); err != nil {
			return err
		}
		l.AddWindow(oracle.Window{From: began, Until: began.Add(time.Second), Why: name})
		return l.isBack(ctx, name, time.Now().Add(-time.Second))
	}}
}
