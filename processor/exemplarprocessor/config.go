// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/normalize"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/series"
)

// Config is the configuration of the exemplar processor.
type Config struct {
	// Normalize mends the exemplars that metrics have.
	Normalize NormalizeConfig `mapstructure:"normalize"`

	// Promote makes exemplars of attributes.
	Promote PromoteConfig `mapstructure:"promote"`

	// Attach makes exemplars of spans.
	Attach AttachConfig `mapstructure:"attach"`
}

// NormalizeConfig is of exemplars that metrics have when they come.
type NormalizeConfig struct {
	// TraceIDs, SpanIDs and Traceparents are names of attributes of exemplars
	// that hold what the exemplar's own IDs should be.
	TraceIDs     []string `mapstructure:"trace_ids"`
	SpanIDs      []string `mapstructure:"span_ids"`
	Traceparents []string `mapstructure:"traceparents"`

	// Repeated is what becomes of an exemplar that the data point before had
	// too: drop or pass.
	Repeated string `mapstructure:"repeated"`
}

// PromoteConfig is of attributes of data points that are in truth of an
// exemplar. They leave the data point.
type PromoteConfig struct {
	TraceIDs []string `mapstructure:"trace_ids"`
	SpanIDs  []string `mapstructure:"span_ids"`
}

// AttachConfig is of exemplars that lead to spans of a traces pipeline in which
// the processor stands too.
type AttachConfig struct {
	// Presets are names of rules that are known; they are tried after Rules.
	Presets []string `mapstructure:"presets"`

	// Rules say which spans a metric counts. The first that names a metric is its.
	Rules []rule.Config `mapstructure:"rules"`

	// Existing is what becomes of a data point that has exemplars: keep leaves it
	// as it is, merge fills the buckets that have none, and replace takes them
	// away for what is attached.
	Existing string `mapstructure:"existing"`

	// Prefer is which of several spans is taken: newest, errors or slowest.
	Prefer string `mapstructure:"prefer"`

	// MaxPerPoint is how many exemplars a data point gets at most.
	MaxPerPoint int `mapstructure:"max_per_point"`

	// MaxPerSecond is how many exemplars are attached at most, at all; 0 is no limit.
	MaxPerSecond int `mapstructure:"max_per_second"`

	// TTL is how long after its end a span is remembered. It has to be longer
	// than tail sampling waits, and than the interval of the metrics.
	TTL time.Duration `mapstructure:"ttl"`

	// Candidates is how many spans are remembered at most.
	Candidates int `mapstructure:"candidates"`

	// Series is how many series are remembered at most.
	Series int `mapstructure:"series"`

	// Repeat is how long an exemplar is attached to the data points that follow,
	// for exporters that are scraped less often than these come. 0 is once.
	Repeat time.Duration `mapstructure:"repeat"`
}

// The values of Repeated, Existing and Prefer.
const (
	repeatedDrop = "drop"
	repeatedPass = "pass"

	existingKeep    = "keep"
	existingMerge   = "merge"
	existingReplace = "replace"

	preferNewest  = "newest"
	preferErrors  = "errors"
	preferSlowest = "slowest"
)

func defaultConfig() *Config {
	aliases := normalize.DefaultAliases()
	return &Config{
		Normalize: NormalizeConfig{
			TraceIDs: aliases.TraceIDs, SpanIDs: aliases.SpanIDs, Traceparents: aliases.Traceparents,
			Repeated: repeatedDrop,
		},
		Attach: AttachConfig{
			Existing: existingMerge, Prefer: preferNewest,
			MaxPerPoint: 20, MaxPerSecond: 1000, TTL: 5 * time.Minute,
			Candidates: 100_000, Series: 100_000,
		},
	}
}

// Unmarshal reads the configuration.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configcheck.Unmarshal(conf, c) }

// Validate checks the configuration. Its errors name the YAML key.
func (c *Config) Validate() error {
	errs := []error{
		rule.Check("attach::rules", c.Attach.Rules),
		configcheck.OneOf("normalize::repeated", c.Normalize.Repeated, repeatedDrop, repeatedPass),
		configcheck.OneOf("attach::existing", c.Attach.Existing, existingKeep, existingMerge, existingReplace),
		configcheck.OneOf("attach::prefer", c.Attach.Prefer, preferNewest, preferErrors, preferSlowest),
		configcheck.Positive("attach::max_per_point", c.Attach.MaxPerPoint),
		configcheck.Duration("attach::ttl", c.Attach.TTL, "5m"),
		configcheck.Positive("attach::candidates", c.Attach.Candidates),
		configcheck.Positive("attach::series", c.Attach.Series),
	}
	if c.Attach.MaxPerSecond < 0 {
		errs = append(errs, fmt.Errorf("attach::max_per_second is %d: set it to 0 for no limit, or to how many exemplars are attached at most", c.Attach.MaxPerSecond))
	}
	if c.Attach.Repeat != 0 {
		errs = append(errs, configcheck.Duration("attach::repeat", c.Attach.Repeat, "1m, or 0s for once"))
	}
	for i, preset := range c.Attach.Presets {
		errs = append(errs, configcheck.OneOf(fmt.Sprintf("attach::presets[%d]", i), preset, rule.Presets()...))
		if slices.Contains(c.Attach.Presets[:i], preset) {
			errs = append(errs, fmt.Errorf("attach::presets[%d] is %s again: name each preset once", i, preset))
		}
	}
	named := map[string]bool{}
	for _, preset := range c.Attach.Presets {
		for _, r := range rule.Preset(preset) {
			named[r.Name] = true
		}
	}
	for i, r := range c.Attach.Rules {
		if r.Name != "" && named[r.Name] {
			errs = append(errs, fmt.Errorf("attach::rules[%d]::name is %s again: give it another, or its metrics are told together", i, r.Name))
		}
		named[r.Name] = true
	}
	for _, names := range []struct {
		key  string
		list []string
	}{
		{"normalize::trace_ids", c.Normalize.TraceIDs},
		{"normalize::span_ids", c.Normalize.SpanIDs},
		{"normalize::traceparents", c.Normalize.Traceparents},
		{"promote::trace_ids", c.Promote.TraceIDs},
		{"promote::span_ids", c.Promote.SpanIDs},
	} {
		if i := slices.Index(names.list, ""); i >= 0 {
			errs = append(errs, fmt.Errorf("%s[%d] is empty: name an attribute, or remove it", names.key, i))
		}
	}
	if len(c.Promote.SpanIDs) > 0 && len(c.Promote.TraceIDs) == 0 {
		errs = append(errs, errors.New("promote::span_ids leads nowhere without promote::trace_ids: name the attribute of the trace too"))
	}
	return errors.Join(errs...)
}

// rules returns the rules, those of the presets last.
func (c *Config) rules() []rule.Config {
	rules := slices.Clone(c.Attach.Rules)
	for _, preset := range c.Attach.Presets {
		rules = append(rules, rule.Preset(preset)...)
	}
	return rules
}

func (c *NormalizeConfig) aliases() normalize.Aliases {
	return normalize.Aliases{TraceIDs: c.TraceIDs, SpanIDs: c.SpanIDs, Traceparents: c.Traceparents}
}

func (c *AttachConfig) options() series.Options {
	prefer := map[string]series.Prefer{preferNewest: series.Newest, preferErrors: series.Errors, preferSlowest: series.Slowest}
	return series.Options{PerPoint: c.MaxPerPoint, Prefer: prefer[c.Prefer], Keep: c.TTL, Ahead: candidate.MaxAhead, Repeat: c.Repeat}
}
