// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"fmt"
	"io"
	"time"
)

// printResults writes what happened in each step and where to find it, and what shows each claim.
func printResults(out io.Writer, e *Environment, reports map[string]Report, results []Result) {
	for _, s := range steps {
		report, ok := reports[s.name]
		if !ok {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s (%s)\n  where to find it: %s\n", s.name, s.what, report.End.Sub(report.Begin).Round(100*time.Millisecond), s.where)
		for _, placed := range report.Orders {
			fmt.Fprintf(out, "  %s %d %s  %s  %s\n", placed.ID, placed.Code, placed.Status, e.Jaeger.TraceURL(placed.TraceID), placed.Reason)
		}
	}
	fmt.Fprintln(out)
	for _, r := range results {
		if r.Err != nil {
			fmt.Fprintf(out, "MISSING  %v\n", r.Err)
		} else {
			fmt.Fprintf(out, "shown    %s\n           %s\n", r.Claim, r.Evidence)
		}
	}
	fmt.Fprintln(out)
}
