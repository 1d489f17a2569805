// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const (
	shown      = 8   // metrics of a system, the first of its series
	listed     = 6   // series of a metric at most that are listed one by one
	longestRow = 105 // of what they are
)

// printMetrics writes each of the chosen metrics in one row, and where all are.
func (p Snapshot) printMetrics(w io.Writer, system System, prometheus readback.Prometheus) {
	fmt.Fprintf(w, "  Metrics\tseries\tvalues\n")
	metrics := map[string][]readback.Series{}
	for _, s := range p.Series[system.Name] {
		metrics[s.Name] = append(metrics[s.Name], s)
	}
	chosen := system.Series[:min(shown, len(system.Series))]
	for _, name := range chosen {
		if series := metrics[name]; len(series) > 0 {
			fmt.Fprintf(w, "    %s\t%d\t%s\n", name, len(series), summary(series))
		}
	}
	others := map[string]bool{}
	for name := range metrics {
		if !slices.ContainsFunc(chosen, func(c string) bool { return family(c, metrics) == family(name, metrics) }) {
			others[family(name, metrics)] = true
		}
	}
	if len(others) == 0 {
		return
	}
	fmt.Fprintf(w, "    and %d more: curl -sG --data-urlencode 'query={job=%q}' %s/api/v1/query\n", len(others), system.Name, prometheus)
	if system.Documented != "" {
		fmt.Fprintf(w, "    what each of them says: %s\n", system.Documented)
	}
}

// family is the name that the parts of a histogram have in common.
func family(name string, metrics map[string][]readback.Series) string {
	for _, part := range []string{"_bucket", "_count", "_sum"} {
		base := strings.TrimSuffix(name, part)
		if _, histogram := metrics[base+"_bucket"]; histogram && base != name {
			return base
		}
	}
	return name
}

// summary lists the values of a metric one by one if they are few, or from the
// least to the largest.
func summary(series []readback.Series) string {
	if len(series) == 1 {
		return value(series[0].Name, series[0].Value)
	}
	var items []string
	least, most := series[0].Value, series[0].Value
	for _, s := range series {
		items = append(items, strings.Join(append(values(s.Labels), value(s.Name, s.Value)), " "))
		least, most = min(least, s.Value), max(most, s.Value)
	}
	if all := strings.Join(items, ", "); len(series) <= listed && len(all) <= longestRow {
		return all
	}
	if least == most {
		return "all " + value(series[0].Name, least)
	}
	return value(series[0].Name, least) + " to " + value(series[0].Name, most)
}

// ofTarget are labels that say where a series comes from, and not which one it is there.
var ofTarget = []string{"job", "instance", "consul_datacenter", "etcd_cluster_id", "etcd_member_id", "vault_cluster_id"}

// values are those of the labels that distinguish series: not those of their
// target, nor the bound of a bucket.
func values(labels map[string]string) []string {
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "le" && !slices.Contains(ofTarget, name) && !strings.HasPrefix(name, "otel_scope") {
			shown = append(shown, labels[name])
		}
	}
	return shown
}
