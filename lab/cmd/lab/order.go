// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/otelcol-infra/otelcol-infra/lab/order"
)

// runOrder runs the example of the order service, and stays up until the context
// ends, or with --check ends at once.
func runOrder(ctx context.Context, c *call) (err error) {
	check := c.flags.Bool("check", false, "run the example once: exit 0 if everything has arrived, else 1")
	collector := c.flags.String("collector", "", "the collector's executable (default: that of this checkout, which is built)")
	config := c.flags.String("config", "collector-config.yaml", "the collector's configuration")
	policy := c.flags.String("policy", "distribution/vault-policy.hcl", "what the collector's token may do in Vault")
	example := c.flags.String("example", "examples/order", "the folder of the example")
	if err := c.noArguments(); err != nil {
		return err
	}
	opts := order.Options{Binary: *collector, Config: *config, Policy: *policy, Example: *example, Progress: c.stderr}
	if *check {
		return order.Run(ctx, opts, c.stdout, nil)
	}
	state, err := claimState()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.remove()) }()
	return order.Run(ctx, opts, c.stdout, func(e *order.Environment) error {
		state.Dir, state.Env = e.Lab.Dir, append(e.Lab.Env(), "EDGE_URL="+e.URL)
		if err := state.save(); err != nil {
			return err
		}
		watchServers(ctx, c, e.Lab)
		return nil
	})
}
