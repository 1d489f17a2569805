// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
)

// Report steps and renders an observation; hidden means that the token began to hide some.
func (w *Watch[K, V, E]) Report(now time.Time, o snapshot.Observation[K, V], hidden bool) watch.Telemetry {
	return w.report(now, observation[K, V]{Observation: o, hidden: hidden})
}

// ForkReport returns a Report for a signal that goes on by itself.
func (w *Watch[K, V, E]) ForkReport() func(now time.Time, o snapshot.Observation[K, V], overflow bool) watch.Telemetry {
	report := w.fork().Step
	return func(now time.Time, o snapshot.Observation[K, V], overflow bool) watch.Telemetry {
		return report(now, observation[K, V]{Observation: o}, overflow)
	}
}

// Observe makes an observation of a result.
func (w *Watch[K, V, E]) Observe(result Result[K, V]) snapshot.Observation[K, V] {
	return w.observe(result, w.overtaken(result)).Observation
}

// Pause returns the pause after a result, and how many queries may follow without
// one, and observes the result.
func (w *Watch[K, V, E]) Pause(result Result[K, V]) (pause time.Duration, burst int) {
	w.queries = rate.NewLimiter(0, 1)
	w.pace(result)
	w.observe(result, false)
	return time.Duration(float64(time.Second) / float64(w.queries.Limit())).Round(time.Millisecond), w.queries.Burst()
}
