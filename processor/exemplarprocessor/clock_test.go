// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The clock of the collector is a year ahead when it starts, and is set back
// then. All that it remembers is of times that do not come for a year.
func TestTheClockOfTheCollectorIsSetBack(t *testing.T) {
	for _, c := range []struct {
		settings string
		want     []int
	}{
		{"max_per_second: 0", []int{0, 1, 1}},
		{"max_per_second: 1", []int{0, 0, 2}}, // The last one before was given when the clock was ahead.
	} {
		t.Run(c.settings, func(t *testing.T) {
			w := unwired(t, configured(t, requests(c.settings)))
			w.clock.Store(int64(at(year)))
			w.traces, w.metrics = w.newTraces(t, &w.spans), w.newMetrics(t, &w.out)
			w.start(t, w.traces, w.metrics)
			store := w.metrics.(*metrics).Observer.store

			alike := make([]span, 8) // As many as are kept of one class.
			for i := range alike {
				alike[i] = span{n: byte(i + 1), end: year + 12 + float64(i)/10, took: .05}
			}
			w.feed(t, year+19, alike...)
			assert.Equal(t, 1, exemplarsIn(w.pass(t, year+20, sum(1))))

			store.Expire(int64(at(100))) // As it does every second.
			w.feed(t, 100, span{n: 101, end: 95, took: .05})
			got := []int{exemplarsIn(w.pass(t, 100, sum(2)))} // It could have been used.
			w.feed(t, 130, span{n: 102, end: 125, took: .05})
			got = append(got, exemplarsIn(w.pass(t, 130, sum(3))))
			w.feed(t, 140, span{n: 103, end: 135, took: .05})
			got = append(got, exemplarsIn(w.pass(t, 140, sum(4))))
			assert.Equal(t, c.want, got)
		})
	}
}
