// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// cliName begins the names of what etcdctl uses.
const cliName = "cli-"

// debianCtl is the etcdctl 3.4 of Debian.
const debianCtl = "/usr/bin/etcdctl"

// cli is an etcdctl.
type cli struct {
	*system
	name, binary, dir string
	runs              int
}

// clis returns the one of our version, and the one of Debian if it is there.
func (s *system) clis() []*cli {
	binary, err := lab.Binary(s.T.Context(), "etcdctl", nil)
	require.NoError(s.T, err)
	all := []*cli{{system: s, name: cliName + "built", binary: binary, dir: s.T.TempDir()}}
	version, err := exec.CommandContext(s.T.Context(), debianCtl, "version").Output()
	if err == nil && strings.Contains(string(version), "etcdctl version: 3.4.") {
		all = append(all, &cli{system: s, name: cliName + "debian", binary: debianCtl, dir: s.T.TempDir()})
	} else {
		s.Logf("%s is not etcdctl 3.4, which is left out: %v", debianCtl, err)
	}
	return all
}

func (c *cli) env() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "ETCDCTL_") })
	return append(env, "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+strings.Join(c.etcd.Endpoints, ","))
}

func (c *cli) run(ctx context.Context, input string, args ...string) error {
	ctx, enough := context.WithTimeout(ctx, 2*request)
	defer enough()
	command := exec.CommandContext(ctx, c.binary, args...)
	command.Env, command.Stdin = c.env(), strings.NewReader(input)
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("etcdctl %v: %w: %s", args, err, output)
	}
	return nil
}

// writer puts and deletes keys with etcdctl.
func (c *cli) writer() oracle.Actor {
	act := func(ctx context.Context, random *rand.Rand) string {
		c.runs++
		name := fmt.Sprintf("%s%s/%d", prefixApp, c.name, random.IntN(4))
		kind := random.IntN(5)
		value := fmt.Sprintf("value %d", c.runs)
		switch kind {
		case 0:
			return failed("etcdctl del", c.run(ctx, "", "del", name))
		case 1:
			return failed("etcdctl del --prefix", c.run(ctx, "", "del", "--prefix", prefixApp+c.name))
		case 2:
			script := fmt.Sprintf("create(%q) = \"0\"\n\nput %s %q\nput %s2 %q\n\ndel %s\n\n", name, name, value, name, value, name)
			return failed("etcdctl txn", c.run(ctx, script, "txn"))
		default:
			return failed("etcdctl put", c.run(ctx, "", "put", name, value))
		}
	}
	return oracle.Actor{Name: c.name + " writer", Pause: 1500 * time.Millisecond, Act: act}
}

// lockers contend for a lock with "etcdctl lock", and for a leadership with "etcdctl elect".
// Some of them are killed: their leases expire.
func (c *cli) lockers() oracle.Actor {
	lock, election := prefixLocks+c.name, prefixElections+c.name
	c.ends.loose = append(c.ends.loose, lock, election)
	var running []*lab.Process
	act := func(ctx context.Context, random *rand.Rand) string {
		kind, holds := random.IntN(6), 100+random.IntN(900)
		victim := random.IntN(4)
		running = slices.DeleteFunc(running, func(p *lab.Process) bool {
			select {
			case <-p.Done():
				return true
			default:
				return false
			}
		})
		begin := func(what string, args ...string) string {
			c.runs++
			process, err := lab.StartProcess(lab.Command{
				Name: fmt.Sprintf("%s-%d", c.name, c.runs), Path: c.binary, Dir: c.dir, Env: c.env(), Args: args,
			})
			if err != nil {
				return failed("", err)
			}
			running = append(running, process)
			return what
		}
		switch {
		case kind == 0 && len(running) > victim:
			return failed("etcdctl killed", running[victim].Kill())
		case kind == 1 && len(running) > victim:
			return failed("etcdctl stopped", running[victim].Stop(ctx))
		case len(running) >= 4:
			return failed("etcdctl stopped", running[0].Stop(ctx))
		case kind == 2:
			return begin("etcdctl elect", "elect", election, fmt.Sprintf("proposal %d", c.runs))
		default:
			return begin("etcdctl lock", "lock", "--ttl=3", lock, "sleep", fmt.Sprintf("%.3f", float64(holds)/1000))
		}
	}
	end := func(ctx context.Context) {
		for _, process := range running {
			_ = process.Stop(ctx)
		}
		c.revokeLeft(ctx, lock, election)
	}
	return oracle.Actor{Name: c.name + " lockers", Pause: 900 * time.Millisecond, Act: act, End: end}
}

// revokeLeft revokes the leases of attempts that nobody keeps alive.
func (s *system) revokeLeft(ctx context.Context, names ...string) {
	if _, err := s.history.catchUp(ctx); err != nil {
		s.Differ("%v", err)
	}
	for _, k := range byCreation(s.history.present()) {
		if k.lease != 0 && slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(k.name, name+"/") }) {
			_ = s.insist(ctx, func(ctx context.Context) error {
				_, err := s.client.Revoke(ctx, clientv3.LeaseID(k.lease)) // It may have expired just so.
				return notFound(err)
			})
		}
	}
}
