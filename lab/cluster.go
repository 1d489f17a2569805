// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Cluster is a server of one or three processes.
type Cluster struct {
	// Members are the processes, to be killed, stopped and restarted one by one.
	Members []*Server

	ownDir string // to be removed on Stop, if not empty
}

// place is where one member runs: home is its folder for configuration and data.
type place struct {
	name, home string
	ports      []int
}

// launch is what a server's own code says about one run: how it is started on
// the ports it was given, and when it is ready.
type launch struct {
	args  []string
	env   []string // beside plainEnv
	ready func(context.Context) error
}

// startCluster finds the binary, and starts opts.Members of it on n free ports
// each. prepare writes configuration into the members' homes, which are new and empty.
func startCluster(ctx context.Context, name string, n int, opts ServerOptions, prepare func([]place) ([]launch, error)) (*Cluster, error) {
	size := max(opts.Members, 1)
	if size != 1 && size != 3 {
		return nil, fmt.Errorf("%s with %d members; choose 1 or 3", name, size)
	}
	bin, err := opts.binary, error(nil)
	if bin == "" {
		bin, err = Binary(ctx, name, opts.Progress)
	}
	if err != nil {
		return nil, err
	}
	dir, ownDir, err := serverDir(opts.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{ownDir: ownDir}
	// The members know each other's ports from the start, so a taken one means
	// other ports for all.
	err = OnFreePorts(ctx, n*size, func(ports []int) error {
		places, err := newPlaces(dir, name, slices.Collect(slices.Chunk(ports, n)))
		if err != nil {
			return err
		}
		launches, err := prepare(places)
		if err != nil {
			return fmt.Errorf("configure %s: %w", name, err)
		}
		c.Members = make([]*Server, size)
		for i, l := range launches {
			args := slices.Concat(l.args, opts.ExtraArgs)
			env := slices.Concat(plainEnv(), l.env, opts.Env)
			c.Members[i] = &Server{name: places[i].name, bin: bin, dir: dir, env: env, args: args, ready: l.ready}
		}
		return c.start(ctx)
	})
	if err != nil {
		return nil, err // a folder of its own stays, for its log
	}
	return c, nil
}

// newPlaces makes the members' homes. Those of a cluster are numbered from 1.
func newPlaces(dir, name string, ports [][]int) ([]place, error) {
	places := make([]place, len(ports))
	for i := range places {
		member := name
		if len(places) > 1 {
			member = fmt.Sprintf("%s-%d", name, i+1)
		}
		home := filepath.Join(dir, member)
		if err := os.Mkdir(home, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of %s; name another folder: %w", member, err)
		}
		places[i] = place{name: member, home: home, ports: ports[i]}
	}
	return places, nil
}

// start starts all members at once, as none is ready alone. It leaves neither
// process nor home on failure.
func (c *Cluster) start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, member := range c.Members {
		group.Go(func() error { return member.start(ctx) })
	}
	err := group.Wait()
	if err == nil {
		return nil
	}
	for _, member := range c.Members {
		err = errors.Join(err, member.Kill(), os.RemoveAll(filepath.Join(member.dir, member.name)))
	}
	return err
}

// Stop ends all members, and removes their folder if it is a throw-away one.
// It kills the members of a cluster: one that is asked to end may wait for
// another to take over, which is ending too (etcd: 7 s). Their data is safe.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, member := range c.Members {
		if len(c.Members) > 1 {
			errs = append(errs, member.Kill())
		} else {
			errs = append(errs, member.Stop(ctx))
		}
	}
	if c.ownDir != "" {
		errs = append(errs, os.RemoveAll(c.ownDir))
	}
	return errors.Join(errs...)
}
