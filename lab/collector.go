// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	name := opts.Name
	if name == "" {
		name = "collector"
	}
	var args []string
	for _, config := range opts.Configs {
		args = append(args, "--config="+config)
	}
	server, err := StartProgram(ctx, ProgramOptions{
		Name: name, Binary: opts.Binary, Dir: opts.Dir, Args: append(args, opts.Args...), Env: append(os.Environ(), opts.Env...), ReadyURL: opts.ReadyURL,
	})
	if err != nil {
		return nil, err
	}
	return &Collector{Server: server}, nil
}
