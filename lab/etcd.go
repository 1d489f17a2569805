// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Etcd is an etcd cluster of one or three members.
type Etcd struct {
	// Endpoints are the members' client URLs, such as "http://127.0.0.1:12001".
	Endpoints []string
	// Members are the members' processes, in the order of Endpoints, to be
	// killed, stopped and restarted one by one.
	Members []*Server

	ownDir string // to be removed on Stop, if not empty
}

// StartEtcd starts a cluster, and waits until each member is healthy.
func StartEtcd(ctx context.Context, opts ServerOptions) (*Etcd, error) {
	size := max(opts.Members, 1)
	if size != 1 && size != 3 {
		return nil, fmt.Errorf("an etcd cluster of %d members; choose 1 or 3", size)
	}
	bin, err := Binary(ctx, "etcd", opts.Progress)
	if err != nil {
		return nil, err
	}
	e := &Etcd{}
	if opts.Dir == "" {
		opts.Dir, err = throwAway()
		e.ownDir = opts.Dir
	} else {
		opts.Dir, err = filepath.Abs(opts.Dir)
	}
	if err != nil {
		return nil, err
	}
	// The members know each other's ports from the start, so a taken one means
	// other ports for all.
	err = onFreePorts(ctx, 2*size, func(ports []int) error {
		if err := e.prepare(bin, opts, ports[:size], ports[size:]); err != nil {
			return err
		}
		return e.start(ctx, opts.Dir)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// prepare makes the members, none of them started.
func (e *Etcd) prepare(bin string, opts ServerOptions, client, peer []int) error {
	e.Endpoints, e.Members = nil, nil
	names, cluster := make([]string, len(client)), make([]string, len(client))
	for i := range client {
		names[i] = "etcd"
		if len(client) > 1 {
			names[i] = fmt.Sprintf("etcd-%d", i+1)
		}
		cluster[i] = names[i] + "=http://" + loopback(peer[i])
	}
	for i, name := range names {
		member, err := newServer(name, bin, opts.Dir)
		if err != nil {
			return err
		}
		home, err := newHome(opts.Dir, name)
		if err != nil {
			return err
		}
		endpoint, peers := "http://"+loopback(client[i]), "http://"+loopback(peer[i])
		member.ready = etcdReady(endpoint)
		member.args = append([]string{
			"--name=" + name, "--data-dir=" + filepath.Join(home, "data"),
			"--listen-client-urls=" + endpoint, "--advertise-client-urls=" + endpoint,
			"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=" + strings.Join(cluster, ","), "--initial-cluster-state=new",
			"--log-level=warn",
		}, opts.ExtraArgs...)
		e.Endpoints, e.Members = append(e.Endpoints, endpoint), append(e.Members, member)
	}
	return nil
}

// start starts all members at once, as none is healthy alone.
func (e *Etcd) start(ctx context.Context, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, member := range e.Members {
		group.Go(func() error { return member.start(ctx) })
	}
	err := group.Wait()
	if err == nil {
		return nil
	}
	for _, member := range e.Members {
		err = errors.Join(err, member.Kill(), os.RemoveAll(filepath.Join(dir, member.name)))
	}
	return err
}

func etcdReady(endpoint string) func(context.Context) error {
	return func(ctx context.Context) error {
		var health struct{ Health, Reason string }
		if err := getJSON(ctx, endpoint+"/health", nil, &health); err != nil {
			return err
		}
		if health.Health != "true" {
			return fmt.Errorf("etcd at %s is not healthy: %s", endpoint, health.Reason)
		}
		return nil
	}
}

// Stop ends all members, and removes their folder if it is a throw-away one.
// It kills the members of a cluster: a leader that is asked to end would wait
// 7 seconds for another, which is ending too, to take over. Their data is safe.
func (e *Etcd) Stop(ctx context.Context) error {
	var errs []error
	for _, member := range e.Members {
		if len(e.Members) > 1 {
			errs = append(errs, member.Kill())
		} else {
			errs = append(errs, member.Stop(ctx))
		}
	}
	if e.ownDir != "" {
		errs = append(errs, os.RemoveAll(e.ownDir))
	}
	return errors.Join(errs...)
}
