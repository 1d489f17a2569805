// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/licence"
)

func licences(ctx context.Context, c *call) error {
	module := c.flags.String("module", "", "folder of ocb's output (default: distribution/_build in the checkout)")
	if err := c.parse(ctx); err != nil {
		return err
	}
	if *module == "" {
		*module = filepath.Join(c.source, "distribution", "_build")
	}
	tags, err := build.Tags(c.source)
	if err != nil {
		return err
	}
	modules, err := licence.Read(ctx, *module, tags, build.Released())
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, m := range modules {
		fmt.Fprintf(table, "%s\t%s\t%s\n", m.Path, m.Version, strings.Join(m.Licences(), " AND "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := licence.Check(modules); err != nil {
		return fmt.Errorf("the collector may not be shipped:\n%w", err)
	}
	fmt.Fprintf(c.stderr, "release: %d modules, all under licences that permit shipping\n", len(modules))
	return nil
}
