// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
)

// Config is of a rule: which spans are what a data point of a metric has
// counted.
type Config struct {
	// Name is that of the rule in the processor's own metrics.
	Name string `mapstructure:"name"`

	// Metrics are regular expressions that match the whole name of a metric, or
	// what is left of it without the suffixes that Prometheus adds.
	Metrics []string `mapstructure:"metrics"`

	// Spans selects spans.
	Spans SpansConfig `mapstructure:"spans"`

	// Join says what a span and a data point have in common.
	Join []JoinConfig `mapstructure:"join"`

	// Value is the attribute of the span that the metric counts. Without one it is
	// the duration of the span.
	Value string `mapstructure:"value"`

	// Unit is that of the metric, when it does not say it itself: h, min, s, ms, us
	// or ns.
	Unit string `mapstructure:"unit"`
}

// SpansConfig selects spans that fit all of it.
type SpansConfig struct {
	// Kinds are server, client, producer, consumer or internal; all when empty.
	Kinds []string `mapstructure:"kinds"`

	// Names are regular expressions that match the whole name; all when empty.
	Names []string `mapstructure:"names"`

	// Attributes are values that those of the span, or of its resource, equal.
	Attributes map[string]string `mapstructure:"attributes"`
}

// JoinConfig is of a value that a data point and its spans share.
type JoinConfig struct {
	// Metric is an attribute of the data point or of its resource, in the
	// words of OpenTelemetry or of Prometheus: http.route is http_route too, and
	// service.name is job.
	Metric string `mapstructure:"metric"`

	// Span is an attribute of the span or of its resource; also span.name,
	// span.kind and status.code. Without one it is the same as Metric.
	Span string `mapstructure:"span"`

	// Optional leaves it out where no data point of the metric has had it.
	Optional bool `mapstructure:"optional"`
}

// mostOptional bounds the number of keys under which a span is kept.
const mostOptional = 4

// check checks the rule; its errors name the YAML key under the one given.
func (c *Config) check(key string) error {
	var errs []error
	if len(c.Metrics) == 0 {
		errs = append(errs, fmt.Errorf("%s::metrics is empty: name the metrics that get exemplars", key))
	}
	_, err := pattern.Any(key+"::metrics", c.Metrics)
	errs = append(errs, err)
	_, err = pattern.Any(key+"::spans::names", c.Spans.Names)
	errs = append(errs, err)
	for i, kind := range c.Spans.Kinds {
		errs = append(errs, configcheck.OneOf(fmt.Sprintf("%s::spans::kinds[%d]", key, i), kind, slices.Sorted(maps.Keys(kinds))...))
	}
	if len(c.Join) == 0 {
		errs = append(errs, fmt.Errorf("%s::join is empty, so any span would fit: list what spans and data points have in common, such as [{metric: service.name}]", key))
	}
	optional := 0
	for i, join := range c.Join {
		if join.Metric == "" {
			errs = append(errs, fmt.Errorf("%s::join[%d]::metric is empty: set it to an attribute of the data point or of its resource", key, i))
		}
		if join.Optional {
			optional++
		}
	}
	if len(c.Join) > 0 && optional == len(c.Join) {
		errs = append(errs, fmt.Errorf("%s::join has only what is optional, so any span could fit: take optional from one of them", key))
	}
	if optional > mostOptional {
		errs = append(errs, fmt.Errorf("%s::join has %d that are optional, and %d are possible", key, optional, mostOptional))
	}
	if c.Unit != "" {
		errs = append(errs, configcheck.OneOf(key+"::unit", c.Unit, slices.Sorted(maps.Keys(perSecond))...))
	}
	if c.Unit != "" && c.Value != "" {
		errs = append(errs, fmt.Errorf("%s::unit is of durations: leave it out, as value is an attribute", key))
	}
	return errors.Join(errs...)
}

// Check checks rules; its errors name the YAML key of each under the one given.
func Check(key string, rules []Config) error {
	var errs []error
	for i := range rules {
		errs = append(errs, rules[i].check(fmt.Sprintf("%s[%d]", key, i)))
	}
	return errors.Join(errs...)
}
