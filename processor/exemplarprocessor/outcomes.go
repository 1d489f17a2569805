// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
)

// outcomes counts what became of spans, data points and exemplars, once for
// each batch.
type outcomes struct {
	telemetry *metadata.TelemetryBuilder
	changed   map[string]metric.AddOption
	promoted  map[string]metric.AddOption
	rules     []ruleOutcomes // by their index
}

// ruleOutcomes are what counts for one rule.
type ruleOutcomes struct {
	attached metric.AddOption
	kept     [candidate.Outcomes]metric.AddOption
	refused  [rule.Refusals]metric.AddOption
	points   [pointOutcomes]metric.AddOption
	rejected map[string]metric.AddOption // by reason
}

func newOutcomes(telemetry *metadata.TelemetryBuilder, id string, rules []*rule.Rule) *outcomes {
	with := func(attributes ...attribute.KeyValue) metric.AddOption {
		return metric.WithAttributeSet(attribute.NewSet(append(attributes, attribute.String("processor", id))...))
	}
	outcome := func(value string) attribute.KeyValue { return attribute.String("outcome", value) }
	o := &outcomes{
		telemetry: telemetry,
		changed:   map[string]metric.AddOption{}, promoted: map[string]metric.AddOption{},
	}
	for _, change := range []string{"aliased", "padded", "redundant", "invalid", "empty", "cut", "duplicate", "repeated", "forgotten"} {
		o.changed[change] = with(attribute.String("change", change))
	}
	for _, name := range []string{"promoted", "merged", "unmerged", "unmeasured", "capped"} {
		o.promoted[name] = with(outcome(name))
	}
	for _, r := range rules {
		of := attribute.String("rule", r.Name)
		as := func(value string) metric.AddOption { return with(of, outcome(value)) }
		counts := ruleOutcomes{
			attached: with(of),
			rejected: map[string]metric.AddOption{},
			kept: [candidate.Outcomes]metric.AddOption{
				candidate.Kept: as("kept"), candidate.Displaced: as("displaced"), candidate.Expired: as("expired"),
				candidate.Ahead: as("ahead"), candidate.Invalid: as("invalid"), candidate.NoRoom: as("no_room"),
			},
			refused: [rule.Refusals]metric.AddOption{
				rule.Unsampled: as("unsampled"), rule.Invalid: as("invalid"), rule.Unkeyed: as("unkeyed"),
			},
			points: [pointOutcomes]metric.AddOption{
				pointAhead: as("ahead"), pointAttached: as("attached"), pointBackwards: as("backwards"), pointBaseline: as("baseline"), pointExisting: as("existing"),
				pointLimited: as("limited"), pointNoCandidate: as("no_candidate"), pointRefused: as("refused"), pointType: as("type"),
				pointUnchanged: as("unchanged"), pointUnfit: as("unfit"), pointUnit: as("unit"), pointUnkeyed: as("unkeyed"),
			},
		}
		for _, reason := range []string{"outside", "used", "ungrown", "surplus"} {
			counts.rejected[reason] = with(of, attribute.String("reason", reason))
		}
		o.rules = append(o.rules, counts)
		telemetry.ExemplarAttached.Add(context.Background(), 0, counts.attached) // A rule for which no metric comes is seen, too.
	}
	return o
}

// candidates counts spans that rules selected.
func (o *outcomes) candidates(ctx context.Context, counts []spanCounts) {
	for i := range counts {
		of := &o.rules[i]
		for outcome, n := range counts[i].kept {
			add(ctx, o.telemetry.ExemplarCandidates, n, of.kept[outcome])
		}
		for refusal, n := range counts[i].refused {
			add(ctx, o.telemetry.ExemplarCandidates, n, of.refused[refusal])
		}
	}
}

// pass counts what became of a batch of metrics.
func (o *outcomes) pass(ctx context.Context, p *pass) {
	c := &p.changes
	for _, change := range [...]named{
		{"aliased", c.Aliased}, {"padded", c.Padded}, {"redundant", c.Redundant}, {"invalid", c.Invalid}, {"empty", c.Empty}, {"cut", c.Cut},
		{"duplicate", c.Duplicate}, {"repeated", c.Repeated}, {"forgotten", c.Forgotten},
	} {
		if change.n > 0 {
			add(ctx, o.telemetry.ExemplarNormalized, change.n, o.changed[change.as])
		}
	}
	for _, outcome := range [...]named{
		{"promoted", c.Promoted}, {"merged", c.Merged}, {"unmerged", c.Unmerged}, {"unmeasured", c.Unmeasured}, {"capped", c.Capped},
	} {
		if outcome.n > 0 {
			add(ctx, o.telemetry.ExemplarPromoted, outcome.n, o.promoted[outcome.as])
		}
	}
	for r, counts := range p.counted {
		of := &o.rules[r.Index]
		add(ctx, o.telemetry.ExemplarAttached, counts.attached, of.attached)
		for _, reason := range [...]named{{"outside", counts.outside}, {"used", counts.used}, {"ungrown", counts.ungrown}, {"surplus", counts.surplus}} {
			if reason.n > 0 {
				add(ctx, o.telemetry.ExemplarRejected, reason.n, of.rejected[reason.as])
			}
		}
		for outcome, n := range counts.points {
			add(ctx, o.telemetry.ExemplarPoints, n, of.points[outcome])
		}
	}
}

// named is how many of what counts under a name.
type named struct {
	as string
	n  int64
}

func add(ctx context.Context, counter metric.Int64Counter, n int64, option metric.AddOption) {
	if n > 0 {
		counter.Add(ctx, n, option)
	}
}
