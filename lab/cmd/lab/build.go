// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// build builds the named servers, or all and the collector, and prints where each is.
func build(ctx context.Context, c *call) error {
	env := c.flags.Bool("env", false, "print LAB_* variables for eval, which name what was built")
	names, err := c.parse()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = append(lab.ServerNames(), lab.CollectorName)
	}
	if err := lab.Build(ctx, c.stderr, names...); err != nil {
		return err
	}
	for _, name := range names {
		path, err := lab.Binary(ctx, name, c.stderr)
		if err != nil {
			return err
		}
		if *env {
			fmt.Fprintf(c.stdout, "export LAB_%s=%s\n", strings.ToUpper(strings.ReplaceAll(name, "-", "_")), quote(path))
		} else {
			fmt.Fprintf(c.stdout, "%-14s %s\n", name, path)
		}
	}
	return nil
}
