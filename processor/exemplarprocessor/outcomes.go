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
	kept      [candidate.Outcomes]metric.AddOption
	refused   [rule.Refusals]metric.AddOption
	changed   map[string]metric.AddOption
	promoted  map[string]metric.AddOption
	points    map[string][pointOutcomes]metric.AddOption // by rule
	attached  map[string]metric.AddOption                // by rule
	rejected  map[rejection]metric.AddOption
}

type rejection struct{ rule, reason string }

func newOutcomes(telemetry *metadata.TelemetryBuilder, id string, rules []string) *outcomes {
	with := func(attributes ...attribute.KeyValue) metric.AddOption {
		return metric.WithAttributeSet(attribute.NewSet(append(attributes, attribute.String("processor", id))...))
	}
	outcome := func(value string) attribute.KeyValue { return attribute.String("outcome", value) }
	o := &outcomes{
		telemetry: telemetry,
		kept: [candidate.Outcomes]metric.AddOption{
			candidate.Kept: with(outcome("kept")), candidate.Displaced: with(outcome("displaced")), candidate.Expired: with(outcome("expired")),
			candidate.Ahead: with(outcome("ahead")), candidate.Invalid: with(outcome("invalid")), candidate.NoRoom: with(outcome("no_room")),
		},
		refused: [rule.Refusals]metric.AddOption{
			rule.Unsampled: with(outcome("unsampled")), rule.Invalid: with(outcome("invalid")), rule.Unkeyed: with(outcome("unkeyed")),
		},
		changed: map[string]metric.AddOption{}, promoted: map[string]metric.AddOption{},
		points: map[string][pointOutcomes]metric.AddOption{}, attached: map[string]metric.AddOption{},
		rejected: map[rejection]metric.AddOption{},
	}
	for _, change := range []string{"aliased", "padded", "redundant", "invalid", "empty", "cut", "duplicate", "repeated", "forgotten"} {
		o.changed[change] = with(attribute.String("change", change))
	}
	for _, name := range []string{"promoted", "merged", "unmerged", "unmeasured", "capped"} {
		o.promoted[name] = with(outcome(name))
	}
	for _, name := range rules {
		of := attribute.String("rule", name)
		o.attached[name] = with(of)
		for _, reason := range []string{"outside", "used", "ungrown", "surplus"} {
			o.rejected[rejection{name, reason}] = with(of, attribute.String("reason", reason))
		}
		var points [pointOutcomes]metric.AddOption
		for i, value := range map[pointOutcome]string{
			pointAttached: "attached", pointBackwards: "backwards", pointBaseline: "baseline", pointExisting: "existing", pointLimited: "limited",
			pointNoCandidate: "no_candidate", pointRefused: "refused", pointType: "type", pointUnchanged: "unchanged", pointUnfit: "unfit",
			pointUnit: "unit", pointUnkeyed: "unkeyed",
		} {
			points[i] = with(of, outcome(value))
		}
		o.points[name] = points
	}
	return o
}

// candidates counts spans that rules selected.
func (o *outcomes) candidates(ctx context.Context, became [candidate.Outcomes]int64, refusals [rule.Refusals]int64) {
	for outcome, n := range became {
		add(ctx, o.telemetry.ExemplarCandidates, n, o.kept[outcome])
	}
	for refusal, n := range refusals {
		add(ctx, o.telemetry.ExemplarCandidates, n, o.refused[refusal])
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
		add(ctx, o.telemetry.ExemplarAttached, counts.attached, o.attached[r.Name])
		for _, reason := range [...]named{{"outside", counts.outside}, {"used", counts.used}, {"ungrown", counts.ungrown}, {"surplus", counts.surplus}} {
			if reason.n > 0 {
				add(ctx, o.telemetry.ExemplarRejected, reason.n, o.rejected[rejection{r.Name, reason.as}])
			}
		}
		points := o.points[r.Name]
		for outcome, n := range counts.points {
			add(ctx, o.telemetry.ExemplarPoints, n, points[outcome])
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
