// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
)

func compile(ctx context.Context, c *call) error {
	version := c.flags.String("version", "", "such as 0.2.0; without one, the result is "+build.Development+" and the checkout may have changes")
	platforms := c.flags.String("platform", "", "platforms, separated by commas (default: all that are released)")
	output := c.flags.String("output", "", "folder (default: distribution/_release in the checkout)")
	dirty := c.flags.Bool("allow-dirty", false, "build although the checkout differs from its commit; the version says so")
	if err := c.parse(ctx); err != nil {
		return err
	}
	o := build.Options{Source: c.source, Version: *version, AllowDirty: *dirty, Output: *output, Log: c.stderr}
	if o.Version == "" {
		o.Version, o.AllowDirty = build.Development, true
	}
	if *platforms != "" {
		var err error
		if o.Platforms, err = build.ParsePlatforms(*platforms); err != nil {
			return usageError{err}
		}
	}
	result, err := build.Compile(ctx, o)
	if err != nil {
		return err
	}
	for _, p := range build.Released() {
		if path, ok := result.Binaries[p]; ok {
			fmt.Fprintln(c.stdout, path)
		}
	}
	return nil
}
