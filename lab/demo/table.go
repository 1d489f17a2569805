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
			if !strings.HasSuffix(s.Name, "_bucket") { // A histogram has dozens of them.
				fmt.Fprintf(w, "    %s%s\t%g\t\n", s.Name, labels(s.Labels), s.Value)
			}
		}
		if len(system.Exemplars) > 0 {
			fmt.Fprintf(w, "  Exemplars\tvalue\tleads to\n")
		}
		for _, e := range p.Exemplars[system.Name] {
			to, _ := p.span(system, e.TraceID, e.SpanID)
			fmt.Fprintf(w, "    %s%s\t%.3f\t%s\t%s\n", e.Series.Name, labels(e.Series.Labels), e.Value, jaeger.TraceURL(e.TraceID), to.Name)
		}
		fmt.Fprintf(w, "  Jaeger\tduration\ttrace\n")
		for _, s := range inOrder(p.Spans[system.Name]) {
			name := strings.Repeat("  ", s.depth) + s.Name + detail(s.Span) + failed(s.Span)
			fmt.Fprintf(w, "    %s\t%s\t%s\n", name, s.Duration.Round(time.Millisecond), p.way(system, s, jaeger))
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

// detail tells spans of the same name apart.
func detail(s readback.Span) string {
	var detail []string
	for _, name := range []string{"vault.lease.prefix", "vault.lease.end.cause"} {
		if value, ok := s.Attributes[name].(string); ok {
			detail = append(detail, value)
		}
	}
	if detail == nil {
		return ""
	}
	return " (" + strings.Join(detail, ", ") + ")"
}

type nested struct {
	readback.Span
	depth int
}

// way says where the trace of a span can be looked at, once for each trace, and
// which spans it is linked to.
func (p Picture) way(system System, s nested, jaeger readback.Jaeger) string {
	var way []string
	if s.depth == 0 {
		way = append(way, jaeger.TraceURL(s.TraceID))
	}
	for _, l := range s.Links {
		if to, found := p.span(system, l.TraceID, l.SpanID); found {
			way = append(way, fmt.Sprintf("linked to %s of %.6s…", to.Name, to.TraceID))
		}
	}
	return strings.Join(way, "  ")
}

// inOrder puts what is of one kind together, as it came to its end, with its parts
// below it as they began. It leaves out the markers of what is over.
func inOrder(spans []readback.Span) []nested {
	type id struct{ trace, span string }
	known, parts := map[id]bool{}, map[id][]readback.Span{}
	for _, s := range spans {
		known[id{s.TraceID, s.SpanID}] = true
	}
	for _, s := range spans {
		whole := id{s.TraceID, s.ParentSpanID}
		if !known[whole] {
			parts[id{}] = append(parts[id{}], s)
		} else if !strings.HasSuffix(s.Name, ".start") {
			parts[whole] = append(parts[whole], s)
		}
	}
	for whole, of := range parts {
		slices.SortFunc(of, func(a, b readback.Span) int {
			if whole == (id{}) {
				return cmp.Or(strings.Compare(a.Name, b.Name), a.Start.Add(a.Duration).Compare(b.Start.Add(b.Duration)))
			}
			return cmp.Or(a.Start.Compare(b.Start), strings.Compare(b.Name, a.Name))
		})
	}
	var ordered []nested
	var walk func(whole id, depth int)
	walk = func(whole id, depth int) {
		for _, s := range parts[whole] {
			ordered = append(ordered, nested{s, depth})
			walk(id{s.TraceID, s.SpanID}, depth+1)
		}
	}
	walk(id{}, 0)
	return ordered
}

func failed(s readback.Span) string {
	if s.Failed {
		return " (error)"
	}
	return ""
}
