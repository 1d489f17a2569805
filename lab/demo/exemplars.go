// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// printExemplars writes the largest of those that the series of one name and the
// same labels have, whatever their buckets.
func (p Snapshot) printExemplars(w io.Writer, system System, link func(traceID string) string) {
	type group struct {
		largest readback.Exemplar
		to      readback.Span
	}
	var titles []string
	groups := map[string]*group{}
	for _, e := range p.Exemplars[system.Name] {
		to, found := p.span(system, e.TraceID, e.SpanID)
		if system.own(to) {
			continue
		}
		title := strings.TrimSuffix(e.Series.Name, "_bucket")
		if labels := values(e.Series.Labels); labels != nil {
			title += "{" + strings.Join(labels, ", ") + "}"
		}
		g, ok := groups[title]
		if !ok {
			titles = append(titles, title)
			g = &group{largest: e, to: to}
			groups[title] = g
		}
		if found && (g.to.Name == "" || e.Value > g.largest.Value) {
			g.largest, g.to = e, to
		}
	}
	if len(titles) > 0 {
		fmt.Fprintf(w, "  Exemplars\tvalue\tlead to\n")
	}
	for _, title := range titles {
		g := groups[title]
		fmt.Fprintf(w, "    %s\t%s\t%s  %s\n", middle(title, longestTitle), value(title, g.largest.Value), link(g.largest.TraceID), g.to.Name)
	}
}
