// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package dashboards defines, once for every format, what is worth a place on a dashboard.
package dashboards

// Kind is how a panel presents the answers to its queries.
type Kind int

// The kinds of panels.
const (
	TimeSeries Kind = iota // the course of each series
	Stat                   // the newest value of one series
)

// Alarm is when the value of a [Stat] is bad.
type Alarm int

// The values that are bad.
const (
	Never    Alarm = iota
	WhenAny        // 1 and more
	WhenNone       // less than 1
)

// Unit is that of the values of a panel.
type Unit int

// The units.
const (
	Count Unit = iota
	Seconds
	Bytes
	PerSecond
	Ratio // from 0 to 1
)

// Dashboard is what one system has to report.
type Dashboard struct {
	Name, Title, Description string
	Panels                   []Panel // in reading order
}

// Panel is one question that an operator asks.
type Panel struct {
	Title, Description string
	Kind               Kind
	Unit               Unit
	Alarm              Alarm
	Queries            []Query

	// Exemplars selects the series whose exemplars lead to traces; empty if there are none.
	Exemplars string

	// Colors are those of the series of each query, such as "#1b7a43"; empty if any will do.
	Colors []string
}

// Query is PromQL. Its one variable is $__rate_interval, which both Grafana and Perses set.
type Query struct {
	Expr string

	// Legend names each series by its labels, such as "{{job}}".
	Legend string
}

// What the colors of states mean.
const (
	good = "#1b7a43"
	warn = "#d98200"
	bad  = "#b3261e"
)

func stat(title, description string, alarm Alarm, expr string) Panel {
	return Panel{Title: title, Description: description, Kind: Stat, Alarm: alarm, Queries: []Query{{Expr: expr, Legend: title}}}
}

func series(title, description string, unit Unit, queries ...Query) Panel {
	return Panel{Title: title, Description: description, Unit: unit, Queries: queries}
}

// with returns the panel with the exemplars of the selected series.
func (p Panel) with(exemplars string) Panel {
	p.Exemplars = exemplars
	return p
}

// in returns the panel with a color for each of its queries.
func (p Panel) in(colors ...string) Panel {
	p.Colors = colors
	return p
}

// quantile is a quantile of a histogram, by labels.
func quantile(q, histogram, by string) string {
	return "histogram_quantile(" + q + ", sum by (le, " + by + ") (rate(" + histogram + "_bucket[$__rate_interval])))"
}

// increase is how much counters have grown, by labels.
func increase(counter, by string) string {
	return "sum by (" + by + ") (increase(" + counter + "[$__rate_interval]))"
}

// rate is how much counters grow in a second, by labels.
func rate(counter, by string) string {
	return "sum by (" + by + ") (rate(" + counter + "[$__rate_interval]))"
}
