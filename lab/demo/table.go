// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// Print writes the picture as a table for each system.
func (p Picture) Print(out io.Writer, jaeger readback.Jaeger) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, system := range Systems {
		fmt.Fprintf(w, "\n%s\n", strings.ToUpper(system.Name))
		fmt.Fprintf(w, "  Prometheus\tvalue\t\n")
		for _, s := range p.Series[system.Name] {
			fmt.Fprintf(w, "    %s%s\t%g\t\n", s.Name, labels(s.Labels), s.Value)
		}
		fmt.Fprintf(w, "  Jaeger\tduration\ttrace\n")
		for _, s := range inOrder(p.Spans[system.Name]) {
			fmt.Fprintf(w, "    %s%s\t%s\t%s\n", s.Name, failed(s), s.Duration.Round(time.Millisecond), jaeger.TraceURL(s.TraceID))
		}
		fmt.Fprintf(w, "  Events\tnumber\t\n")
		counts := map[string]int{}
		for _, e := range p.Events[system.Name] {
			counts[e.Name]++
		}
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(w, "    %s\t%d\t\n", name, counts[name])
		}
	}
	return w.Flush()
}

// labels leaves out what the table says already, or is the same everywhere.
func labels(all map[string]string) string {
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != "job" && name != "instance" && !strings.HasPrefix(name, "otel_scope") {
			shown = append(shown, fmt.Sprintf("%s=%q", name, all[name]))
		}
	}
	if shown == nil {
		return ""
	}
	return "{" + strings.Join(shown, ", ") + "}"
}

// inOrder puts the spans of a trace together, its root before the parts.
func inOrder(spans []readback.Span) []readback.Span {
	return slices.SortedFunc(slices.Values(spans), func(a, b readback.Span) int {
		return cmp.Or(strings.Compare(a.TraceID, b.TraceID), strings.Compare(a.ParentSpanID, b.ParentSpanID),
			a.Start.Compare(b.Start), strings.Compare(a.Name, b.Name))
	})
}

func failed(s readback.Span) string {
	if s.Failed {
		return " (error)"
	}
	return ""
}
