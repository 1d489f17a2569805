// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// up runs a lab in the foreground until the context ends.
func up(ctx context.Context, c *call) (err error) {
	members := c.flags.Int("etcd-members", 1, "members of the etcd cluster: 1 or 3")
	dir := c.flags.String("dir", "", "empty folder for logs and data, kept (default: a throw-away one)")
	names, err := c.parse()
	if err != nil {
		return err
	}
	state, err := claimState()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.remove()) }()
	l, err := lab.Start(ctx, lab.Options{Dir: *dir, Servers: names, EtcdMembers: *members, Progress: c.stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	if l.Prometheus != nil {
		// Where a collector with its default configuration is scraped.
		if err := l.Prometheus.Scrape("127.0.0.1:9464", "127.0.0.1:9465"); err != nil {
			return err
		}
	}
	state.Dir, state.Env = l.Dir, l.Env()
	if err := state.save(); err != nil {
		return err
	}
	announce(c, l)
	watchServers(ctx, c, l)
	fmt.Fprintln(c.stderr, "lab: stopping")
	return nil
}

// announce prints the addresses, and leaves the secrets to lab env.
func announce(c *call, l *lab.Lab) {
	for _, kv := range l.Env() {
		key, value, _ := strings.Cut(kv, "=")
		if !isSecret(key) {
			fmt.Fprintf(c.stdout, "%-20s %s\n", key, value)
		}
	}
	fmt.Fprintf(c.stdout, "logs and data are in %[1]s\nin another terminal: eval \"$(%[2]s env)\"; end it with Ctrl-C here or %[2]s down there\n", l.Dir, os.Args[0])
}

func isSecret(key string) bool {
	return strings.HasSuffix(key, "_TOKEN") || strings.HasSuffix(key, "_KEY")
}

// watchServers returns when the context is done; it reports servers that end before.
func watchServers(ctx context.Context, c *call, l *lab.Lab) {
	ended := make(chan *lab.Server)
	for _, server := range l.Servers() {
		go func() {
			select {
			case <-ctx.Done():
				return
			case <-server.Process().Done():
			}
			select {
			case <-ctx.Done():
			case ended <- server:
			}
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case server := <-ended:
			fmt.Fprintf(c.stderr, "lab: %s ended by itself; its log %s ends with\n%s\n",
				server.Name(), server.Process().LogPath(), server.LogTail(20))
		}
	}
}
