// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import "strings"

// mangled returns a name as Prometheus writes it, without suffixes.
func mangled(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == ':', r == '_':
			return r
		}
		return '_'
	}, name)
}

// suffixes are those that Prometheus adds to a metric's name, for its type and
// for its unit.
var suffixes = []string{"_total", "_seconds", "_milliseconds", "_microseconds", "_nanoseconds", "_minutes", "_hours", "_bytes", "_ratio"}

// bare returns a metric's name without the suffixes of Prometheus.
func bare(name string) string {
	for _, suffix := range suffixes {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// perSecond is how much of a unit a second is.
var perSecond = map[string]float64{"h": 1. / 3600, "min": 1. / 60, "s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}

// spelled are the names of units that are not UCUM's, and the suffixes of names.
var spelled = map[string]string{
	"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns", "minutes": "min", "hours": "h", "µs": "us",
}

// unitOf returns the unit of a metric of durations; empty when it says none.
func unitOf(name, unit string) string {
	if known, ok := spelled[unit]; ok {
		return known
	}
	if _, ok := perSecond[unit]; ok {
		return unit
	}
	if name == "traces_spanmetrics_latency" { // Tempo's, which has no unit anywhere.
		return "s"
	}
	name = strings.TrimSuffix(name, "_total")
	return spelled[name[strings.LastIndexAny(name, "_.")+1:]]
}
