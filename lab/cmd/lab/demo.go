// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/otelcol-infra/otelcol-infra/lab/demo"
)

// runDemo plays the demo, and stays up until the context ends, or with --check
// ends at once.
func runDemo(ctx context.Context, c *call) (err error) {
	check := c.flags.Bool("check", false, "play the demo once: exit 0 if everything has arrived, else 1")
	collector := c.flags.String("collector", "", "the collector's executable (default: that of this checkout, which is built)")
	config := c.flags.String("config", "collector-config.yaml", "the collector's configuration")
	policy := c.flags.String("policy", "distribution/vault-policy.hcl", "what the collector's token may do in Vault")
	if err := c.noArguments(); err != nil {
		return err
	}
	opts := demo.Options{Binary: *collector, Config: *config, Policy: *policy, Progress: c.stderr}
	if *check {
		return demo.Run(ctx, opts, c.stdout, nil)
	}
	state, err := claimState()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.remove()) }()
	return demo.Run(ctx, opts, c.stdout, func(s *demo.Environment) error {
		state.Dir, state.Env = s.Lab.Dir, s.Lab.Env()
		if err := state.save(); err != nil {
			return err
		}
		watchServers(ctx, c, s.Lab)
		return nil
	})
}
