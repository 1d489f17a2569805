// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/series"
)

// expireEvery is how often it is looked for spans that are too old.
const expireEvery = time.Second

// exemplars is what the pipelines of one processor have in common: the rules,
// and the spans that they select.
type exemplars struct {
	cfg       *Config
	settings  processor.Settings
	rules     *rule.Set
	store     *candidate.Store
	limiter   *rate.Limiter
	telemetry *metadata.TelemetryBuilder
	outcomes  *outcomes
	now       func() time.Time

	traces, metrics atomic.Int32 // pipelines
	tables          tables       // of the metrics pipelines

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

func newExemplars(cfg *Config, settings processor.Settings, now func() time.Time) (*exemplars, error) {
	rules, err := rule.Compile(cfg.rules())
	if err != nil {
		return nil, fmt.Errorf("attach::rules: %w", err)
	}
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("telemetry of %s: %w", settings.ID, err)
	}
	limit := rate.Inf
	if cfg.Attach.MaxPerSecond > 0 {
		limit = rate.Limit(cfg.Attach.MaxPerSecond)
	}
	e := &exemplars{
		cfg: cfg, settings: settings, rules: rules, telemetry: telemetry, now: now,
		store:    candidate.NewStore(candidate.Limits{Candidates: cfg.Attach.Candidates, TTL: cfg.Attach.TTL}),
		limiter:  rate.NewLimiter(limit, max(1, cfg.Attach.MaxPerSecond)),
		outcomes: newOutcomes(telemetry, settings.ID.String(), rules.Rules()),
	}
	return e, e.observe()
}

// attaches says whether spans become exemplars.
func (e *exemplars) attaches() bool { return len(e.rules.Rules()) > 0 }

// observe has told how much is remembered.
func (e *exemplars) observe() error {
	processor := attribute.String("processor", e.settings.ID.String())
	this := metric.WithAttributeSet(attribute.NewSet(processor))
	ends := map[string]metric.MeasurementOption{}
	for _, end := range []string{"ahead", "evicted", "expired", "replaced"} {
		ends[end] = metric.WithAttributeSet(attribute.NewSet(processor, attribute.String("end", end)))
	}
	return errors.Join(
		e.telemetry.RegisterExemplarCandidateCountCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(e.store.Stats().Candidates), this)
			return nil
		}),
		e.telemetry.RegisterExemplarCandidatesForgottenCallback(func(_ context.Context, o metric.Int64Observer) error {
			stats := e.store.Stats()
			o.Observe(stats.Ahead, ends["ahead"])
			o.Observe(stats.Evicted, ends["evicted"])
			o.Observe(stats.Expired, ends["expired"])
			o.Observe(stats.Replaced, ends["replaced"])
			return nil
		}),
		e.telemetry.RegisterExemplarSeriesCountCallback(func(_ context.Context, o metric.Int64Observer) error {
			held, _ := e.tables.stats()
			o.Observe(held, this)
			return nil
		}),
		e.telemetry.RegisterExemplarSeriesEvictedCallback(func(_ context.Context, o metric.Int64Observer) error {
			_, evicted := e.tables.stats()
			o.Observe(evicted, this)
			return nil
		}),
	)
}

// mayAttach says whether the limiter has an exemplar left.
func (e *exemplars) mayAttach(now int64) bool {
	at := time.Unix(0, now)
	left := e.limiter.TokensAt(at)
	if left < 1 && left == e.limiter.TokensAt(at.Add(candidate.MaxAhead)) {
		e.limiter.ReserveN(at, 0) // The clock was set back. Nothing would be added before it has caught up.
	}
	return left >= 1
}

// AddHost implements sharedcomponent.Observer: it says on the pipeline that
// starts whether the other half is missing.
func (e *exemplars) AddHost(host component.Host) {
	if err := e.miswired(); err != nil {
		componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(err))
	}
}

// miswired says what is missing for exemplars to be attached. All pipelines are
// made before the first is started.
func (e *exemplars) miswired() error {
	switch {
	case e.attaches() && e.traces.Load() == 0:
		return fmt.Errorf("%s attaches nothing, as it sees no spans: put it into a traces pipeline too, under the same ID and behind tail_sampling", e.settings.ID)
	case e.attaches() && e.metrics.Load() == 0:
		return fmt.Errorf("%s attaches nothing, as it sees no metrics: put it into a metrics pipeline too, under the same ID, or take it out of the traces pipeline", e.settings.ID)
	case !e.attaches() && e.traces.Load() > 0:
		return fmt.Errorf("%s has no use for spans: set attach::presets or attach::rules, or take it out of the traces pipeline", e.settings.ID)
	}
	return nil
}

// Start begins to forget what is too old.
func (e *exemplars) Start(context.Context, component.Host) error {
	if err := e.miswired(); err != nil {
		e.settings.Logger.Warn(err.Error())
	}
	ctx, cancel := context.WithCancel(context.Background()) // It outlives the start.
	e.cancel = cancel
	e.ended.Go(func() {
		ticker := time.NewTicker(expireEvery)
		defer ticker.Stop()
		unwanted := time.NewTimer(e.cfg.Attach.TTL)
		defer unwanted.Stop()
		for {
			select {
			case <-unwanted.C:
				e.warnOfUnwanted()
			case <-ticker.C:
				e.store.Expire(e.now().UnixNano())
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// warnOfUnwanted names the configured rules that no metric has, so far. Of
// presets that is as it should be.
func (e *exemplars) warnOfUnwanted() {
	for i, r := range e.rules.Rules() {
		if i < len(e.cfg.Attach.Rules) && e.metrics.Load() > 0 && !r.Wanted() {
			e.settings.Logger.Warn(fmt.Sprintf("no metric came that attach::rules[%d]::metrics names: write names as they are in the collector, without _bucket, _sum and _count", i),
				zap.String("rule", r.Name))
		}
	}
}

// Shutdown ends it. It may be called without a Start.
func (e *exemplars) Shutdown(context.Context) error {
	if e.cancel != nil {
		e.cancel()
	}
	e.ended.Wait()
	e.telemetry.Shutdown()
	return nil
}

// tables are what the metrics pipelines remember of their series.
type tables struct {
	mu  sync.Mutex
	all []*series.Table
}

func (t *tables) add(table *series.Table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, table)
}

func (t *tables) stats() (held, evicted int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, table := range t.all {
		h, e := table.Stats()
		held, evicted = held+int64(h), evicted+e
	}
	return held, evicted
}
