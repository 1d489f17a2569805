// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CollectorOptions say how a collector is run. Binary, Configs and ReadyURL are required.
type CollectorOptions struct {
	// Binary is the path of the collector's executable.
	Binary string
	// Configs are given as --config, in this order: paths (from Dir, if not
	// absolute) or other config URIs.
	Configs []string
	// Args come after these.
	Args []string
	// Env (K=V) is added to this process's environment, and wins.
	Env []string
	// Dir is an existing folder, the working directory and place of the log
	// <Name>.log. Empty: a throw-away folder that Stop removes.
	Dir string
	// Name is the name of the log and in messages. Empty: "collector".
	Name string
	// ReadyURL is the URL of the health_check extension; 200 means ready.
	ReadyURL string
}

// Collector is one running collector.
type Collector struct{ *Server }

// Stop is [Server.Stop]; that the collector failed, then or before, is an error.
func (c *Collector) Stop(ctx context.Context) error {
	return errors.Join(c.end(ctx), c.Server.Stop(ctx))
}

// Restart is [Server.Restart]; that the collector failed, then or before, is an error.
func (c *Collector) Restart(ctx context.Context) error {
	if err := c.end(ctx); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return c.Server.Restart(ctx)
}

func (c *Collector) end(ctx context.Context) error {
	proc := c.Process()
	if proc == nil {
		return nil
	}
	return errors.Join(proc.Stop(ctx), proc.failure())
}

// StartCollector starts a collector, and waits until it is ready. The error of
// one that ends or does not become ready holds the end of its log.
func StartCollector(ctx context.Context, opts CollectorOptions) (*Collector, error) {
	if opts.ReadyURL == "" {
		return nil, errors.New("start the collector: no ReadyURL; set it to that of its health_check extension")
	}
	bin, err := filepath.Abs(opts.Binary)
	if err == nil {
		err = isExecutable(bin)
	}
	if err != nil {
		return nil, fmt.Errorf("start the collector; build its binary first: %w", err)
	}
	name := opts.Name
	if name == "" {
		name = "collector"
	}
	server, err := newServer(name, bin, opts.Dir)
	if err != nil {
		return nil, err
	}
	for _, config := range opts.Configs {
		server.args = append(server.args, "--config="+config)
	}
	server.args = append(server.args, opts.Args...)
	server.env = append(os.Environ(), opts.Env...)
	server.ready = answersOK(opts.ReadyURL)
	if err := server.start(ctx); err != nil {
		return nil, errors.Join(err, server.Kill())
	}
	return &Collector{Server: server}, nil
}
