// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// width is how long a line should be at most.
const width = 160

// Print writes the snapshot as a table for each system, the most useful first.
func (p Snapshot) Print(out io.Writer, link func(traceID string) string, prometheus readback.Prometheus) error {
	fmt.Fprintf(out, "\nLabels are shown by their values. Of traces that are alike the longest is shown, of the exemplars of a series the largest; those of histograms are in _bucket.\n")
	for _, system := range p.shown() {
		fmt.Fprintf(out, "\n%s\n  look at %s\n", strings.ToUpper(system.Name), system.Highlight)
		for _, write := range []func(io.Writer){
			func(w io.Writer) { p.printTraces(w, system, link) },
			func(w io.Writer) { p.printExemplars(w, system, link) },
			func(w io.Writer) { p.printEvents(w, system) },
			func(w io.Writer) { p.printMetrics(w, system, prometheus) },
		} {
			var section strings.Builder
			w := tabwriter.NewWriter(&section, 0, 0, 2, ' ', 0)
			write(w)
			if err := w.Flush(); err != nil {
				return err
			}
			for line := range strings.Lines(section.String()) {
				fmt.Fprintln(out, strings.TrimRight(line, " \n")) // An empty last cell leaves blanks.
			}
		}
	}
	return nil
}

// printEvents writes the numbers of events, as many in a line as it takes.
func (p Snapshot) printEvents(out io.Writer, system System) {
	counts := map[string]int{}
	for _, e := range p.Events[system.Name] {
		counts[e.Name]++
	}
	if len(counts) == 0 {
		return
	}
	var items []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		items = append(items, fmt.Sprintf("%s %d", name, counts[name]))
	}
	fmt.Fprintln(out, "  Events")
	printList(out, "", items)
}

// printList writes a list, as much in a line as fits.
func printList(out io.Writer, line string, list []string) {
	for i, item := range list {
		if i < len(list)-1 {
			item += ","
		}
		if line != "" && utf8.RuneCountInString("    "+line+" "+item) > width {
			fmt.Fprintf(out, "    %s\n", line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+item, " ")
	}
	fmt.Fprintf(out, "    %s\n", line)
}
