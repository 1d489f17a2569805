// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// build builds the named servers and prints where each is.
func build(ctx context.Context, c *call) error {
	names, err := c.parse()
	if err != nil {
		return err
	}
	if err := lab.Build(ctx, c.stderr, names...); err != nil {
		return err
	}
	if len(names) == 0 {
		names = lab.ServerNames()
	}
	for _, name := range names {
		path, err := lab.Binary(ctx, name, c.stderr)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "%-10s %s\n", name, path)
	}
	return nil
}
