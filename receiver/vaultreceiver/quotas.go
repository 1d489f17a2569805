// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	endpointQuotas = "sys/quotas/rate-limit"

	// quotasState is the name under which it is said that not all is told.
	quotasState = "quotas"

	// maxQuotas is how many quotas are asked for, as each costs a request.
	maxQuotas = 200
)

// quotas are the rate-limit quotas. What they allow is asked for, and what they
// refused is on the page of Vault's own metrics.
type quotas struct {
	*topic[state.Quotas]

	// These belong to read.
	begun bool
	known state.Quotas
}

func newQuotas(w *watcher) domain {
	q := &quotas{}
	q.topic = &topic[state.Quotas]{
		w: w, endpoint: endpointQuotas, every: w.cfg.Quotas.Interval, stored: "quotas",
		read:    q.readAll,
		measure: telemetry.RecordQuotas,
		tell: func(observed time.Time, c change[state.Quotas]) watch.Telemetry {
			return w.story.RenderQuotas(observed, c.at, c.resource, c.before.Compare(c.after))
		},
	}
	return q
}

func (q *quotas) readAll(ctx context.Context) (state.Quotas, error) {
	if !q.begun { // What Vault has forgotten is known from what was told.
		_, now := q.w.possible()
		told, _ := resume(ctx, q.w, q.stored, now, func(m memory[state.Quotas]) string { return m.Cluster })
		q.known, q.begun = told.Value, true
	}
	limits, all, err := q.w.client.RateLimits(ctx)
	if err != nil {
		return state.Quotas{}, err
	}
	read, _ := q.w.pages.newest(ctx, q.w.cfg.Scrape.CollectionInterval)
	if all > maxQuotas {
		err = fmt.Errorf("there are %d rate-limit quotas, and only the first %d of them are told", all, maxQuotas)
	}
	if len(limits) > 0 && !read.at.IsZero() && !read.counted {
		err = errors.Join(err, fmt.Errorf("what they refused is not known: %w, or quotas::enabled to false", errPlain))
	}
	q.w.Condition.Set(quotasState, err)
	q.known = q.known.Take(limits, read.refusals, read.counted)
	return q.known, nil
}

// appendTo appends what they refused, which Vault counts since its process began,
// rather than since the receiver did.
func (q *quotas) appendTo(metrics pmetric.MetricSlice, now time.Time) {
	q.w.mu.Lock()
	last := q.last
	q.w.mu.Unlock()
	if last.fresh(now, max(2*q.every, stale)) {
		telemetry.AppendRefusals(metrics, q.w.cfg.Metrics, q.w.settings, pcommon.NewTimestampFromTime(now), last.value)
	}
}

// RateLimits returns the rate-limit quotas that there are, and how many, as of
// many it returns the first ones.
func (c *client) RateLimits(ctx context.Context) (limits map[string]state.RateLimit, all int, err error) {
	names, err := c.list(ctx, call{endpoint: endpointQuotas})
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(names)
	limits = map[string]state.RateLimit{}
	for _, name := range names[:min(len(names), maxQuotas)] {
		var answer struct {
			Data struct {
				Path     string
				Rate     *float64 `json:"rate" answer:"required"`
				Interval float64
			} `json:"data"`
		}
		err := c.do(ctx, call{endpoint: endpointQuotas, path: endpointQuotas + "/" + name, needs: "list, and read below it,"}, &answer)
		if isAbsent(err) {
			continue // It has gone meanwhile.
		}
		if err != nil {
			return nil, 0, err
		}
		limit := state.RateLimit{Path: answer.Data.Path, PerSecond: *answer.Data.Rate}
		if answer.Data.Interval > 0 {
			limit.PerSecond /= answer.Data.Interval
		}
		limits[name] = limit
	}
	return limits, len(names), nil
}
