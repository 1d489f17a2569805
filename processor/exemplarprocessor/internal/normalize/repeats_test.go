// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/lru"
)

// pass gives the repeats a point whose exemplars have these times, and returns
// the times of those that are left.
func pass(t testing.TB, r *Repeats, series uint64, at pcommon.Timestamp, c *Counts, times ...pcommon.Timestamp) (left []pcommon.Timestamp) {
	es := pmetric.NewExemplarSlice()
	for _, told := range times {
		add(t, es, traceHex, spanHex).SetTimestamp(told)
	}
	r.Exemplars(series, at, es, c)
	for _, e := range es.All() {
		left = append(left, e.Timestamp())
	}
	return left
}

func TestWhatThePreviousPointHadIsPassedOnce(t *testing.T) {
	type times = []pcommon.Timestamp
	r := NewRepeats(10)
	var c Counts
	assert.Equal(t, times{1, 2}, pass(t, r, 7, 10, &c, 1, 2))
	assert.Empty(t, pass(t, r, 7, 20, &c, 1, 2))
	assert.Empty(t, pass(t, r, 7, 30, &c, 1, 2))
	assert.Equal(t, times{3}, pass(t, r, 7, 40, &c, 1, 3, 2))
	assert.Empty(t, pass(t, r, 7, 50, &c))
	assert.Equal(t, times{4}, pass(t, r, 7, 60, &c, 3, 4), "a point without exemplars has nothing to say")
	assert.Equal(t, times{1}, pass(t, r, 7, 70, &c, 1), "only the previous point is remembered")
	assert.Equal(t, times{1}, pass(t, r, 8, 70, &c, 1), "another series")
	assert.Equal(t, Counts{Repeated: 7}, c)
	assert.Equal(t, 2, r.Len())
}

func TestAnExemplarWithoutATimeOfItsOwnIsARepeatToo(t *testing.T) {
	r := NewRepeats(10)
	var c Counts
	assert.Len(t, pass(t, r, 7, 10, &c, 10), 1)
	assert.Empty(t, pass(t, r, 7, 20, &c, 20))
	assert.Len(t, pass(t, r, 7, 30, &c, 29), 1)
	assert.Equal(t, Counts{Repeated: 1}, c)
}

func TestNoMemoryPassesRepeats(t *testing.T) {
	var r *Repeats
	var c Counts
	for range 3 {
		assert.Len(t, pass(t, r, 7, 10, &c, 1), 1)
	}
	assert.Equal(t, Counts{}, c)
	assert.Zero(t, r.Len())
}

func TestTheSeriesThatWasNotUsedForLongestIsForgotten(t *testing.T) {
	r := NewRepeats(2)
	var c Counts
	for _, series := range []uint64{0, lru.Shards, 0, 2 * lru.Shards} { // All in one shard, or the order would be that of the shards.
		pass(t, r, series, 10, &c, 1)
	}
	assert.Equal(t, Counts{Repeated: 1, Forgotten: 1}, c)
	assert.Empty(t, pass(t, r, 0, 20, &c, 1))
	assert.Empty(t, pass(t, r, 2*lru.Shards, 20, &c, 1))
	assert.Len(t, pass(t, r, lru.Shards, 20, &c, 1), 1)
	assert.Equal(t, int64(2), c.Forgotten)
}

func TestTheMemoryHasABound(t *testing.T) {
	for _, limit := range []int{-1, 0, 1, 100} {
		r := NewRepeats(limit)
		var c Counts
		for series := range uint64(1000) {
			pass(t, r, series, 10, &c, 1)
		}
		bound := max(0, limit)
		assert.Equal(t, bound, r.Len())
		assert.Equal(t, int64(1000-bound), c.Forgotten)
	}
	var many []pcommon.Timestamp
	for i := range 3 * maxRemembered {
		many = append(many, pcommon.Timestamp(i+1))
	}
	r := NewRepeats(1)
	var c Counts
	pass(t, r, 7, 0, &c, many...)
	assert.Equal(t, Counts{Forgotten: 2 * maxRemembered}, c)
	assert.Equal(t, many[maxRemembered:], pass(t, r, 7, 0, &c, many...))
	r.series.Each(func(_ uint64, exemplars *remembered) (int, bool) {
		assert.LessOrEqual(t, cap(*exemplars), maxRemembered)
		return 0, true
	})
}

func TestRepeatsAreCountedOnceWhoeverAsks(t *testing.T) {
	r := NewRepeats(1000)
	const workers, series = 8, 100
	counts := make([]Counts, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for s := range uint64(series) {
				pass(t, r, s, 10, &counts[w], 1, 2)
			}
		})
	}
	wg.Wait()
	repeated := int64(0)
	for _, c := range counts {
		repeated += c.Repeated
	}
	assert.Equal(t, int64((workers-1)*series*2), repeated)
	assert.Equal(t, series, r.Len())
}

func TestRepeatsOfAllKindsOfMetrics(t *testing.T) {
	n, r := New(DefaultAliases()), NewRepeats(100)
	for scrape := range 3 {
		metrics := pmetric.NewMetrics()
		slice := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
		slice.AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty()
		slice.AppendEmpty().SetEmptySum().DataPoints().AppendEmpty()
		slice.AppendEmpty().SetEmptyHistogram().DataPoints().AppendEmpty()
		slice.AppendEmpty().SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
		var c Counts
		for i, m := range slice.All() {
			m.SetName(strconv.Itoa(i))
			add(t, exemplarsOf(m)[0], "", "", "traceID", traceHex)
			n.Metric(1, m, r, &c)
			assert.Equal(t, scrape == 0, exemplarsOf(m)[0].Len() == 1)
		}
		slice.AppendEmpty().SetEmptySummary().DataPoints().AppendEmpty()
		n.Metric(1, slice.At(4), r, &c)
		assert.Equal(t, int64(4), c.Aliased)
	}
	assert.Equal(t, 4, r.Len())
}

func TestWhatIsPromotedAgainWithEveryScrapeIsPassedOnce(t *testing.T) {
	p, n, r := promoter(), New(DefaultAliases()), NewRepeats(100)
	for scrape, want := range []int{2, 0, 1} {
		m := sum(cumulative)
		number(m, "/", traceHex, spanHex, 1).SetTimestamp(pcommon.Timestamp(100 + scrape))
		number(m, "/", otherTrace, spanHex, int64(3+scrape/2)).SetTimestamp(pcommon.Timestamp(100 + scrape))
		var c Counts
		p.Metric(m, &c)
		n.Metric(1, m, r, &c)
		require.Equal(t, 1, m.Sum().DataPoints().Len())
		assert.Equal(t, want, m.Sum().DataPoints().At(0).Exemplars().Len())
		assert.Equal(t, Counts{Promoted: 2, Merged: 1, Repeated: int64(2 - want)}, c)
	}
}

func TestExemplarsOfThreeScrapes(t *testing.T) {
	const scenario = "an exemplar that is scraped again is passed once"
	n, r := New(DefaultAliases()), NewRepeats(100)
	metrics := pmetric.NewMetrics()
	for scrape, traces := range [][]string{{traceHex}, {traceHex, otherTrace}, {otherTrace}} {
		m := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(fmt.Sprint("requests at scrape ", scrape+1))
		p := m.SetEmptySum().DataPoints().AppendEmpty()
		p.SetIntValue(int64(scrape))
		p.Attributes().PutStr("route", "/")
		for _, trace := range traces {
			add(t, p.Exemplars(), trace, spanHex)
		}
		n.Exemplars(p.Exemplars(), &Counts{})
		r.Exemplars(1, pcommon.Timestamp(scrape), p.Exemplars(), &Counts{})
	}
	goldentest.MetricsExactly(t, scenario, metrics)
}

func BenchmarkPoint(b *testing.B) {
	n := New(DefaultAliases())
	for _, bench := range []struct {
		name string
		fill func(pmetric.ExemplarSlice)
	}{
		{"without exemplars", func(pmetric.ExemplarSlice) {}},
		{"one exemplar with IDs", func(es pmetric.ExemplarSlice) { add(b, es, traceHex, spanHex) }},
		{"ten exemplars with IDs", func(es pmetric.ExemplarSlice) {
			for i := range 10 {
				add(b, es, traceHex, spanHex).SetTimestamp(pcommon.Timestamp(i))
			}
		}},
		{"one exemplar with a label", func(es pmetric.ExemplarSlice) { add(b, es, traceHex, spanHex, "user", "a") }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			es := pmetric.NewExemplarSlice()
			bench.fill(es)
			var c Counts
			b.ReportAllocs()
			for b.Loop() {
				n.Exemplars(es, &c)
			}
		})
	}
	b.Run("one exemplar with aliases, and making it", func(b *testing.B) {
		var c Counts
		b.ReportAllocs()
		for b.Loop() {
			es := pmetric.NewExemplarSlice()
			add(b, es, "", "", "traceID", traceHex, "spanID", spanHex)
			n.Exemplars(es, &c)
		}
	})
}

func BenchmarkRepeats(b *testing.B) {
	for _, series := range []int{1, 100, 100_000} {
		b.Run(fmt.Sprintf("%d series", series), func(b *testing.B) {
			r := NewRepeats(100_000)
			es := pmetric.NewExemplarSlice()
			add(b, es, traceHex, spanHex)
			var c Counts
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				es.At(0).SetTimestamp(pcommon.Timestamp(i)) // So that it is not removed.
				r.Exemplars(uint64(i%series), 0, es, &c)
			}
		})
	}
}

func TestWhatNeedsNoMendingIsNotAllocatedFor(t *testing.T) {
	n, r := New(DefaultAliases()), NewRepeats(10)
	none, few := pmetric.NewExemplarSlice(), pmetric.NewExemplarSlice()
	for i := range 20 {
		add(t, few, traceHex, spanHex, "user", "a", "n", 5).SetTimestamp(pcommon.Timestamp(i))
	}
	var c Counts
	assert.Zero(t, testing.AllocsPerRun(100, func() { n.Exemplars(none, &c); r.Exemplars(1, 0, none, &c) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { n.Exemplars(few, &c) }))
	next := pcommon.Timestamp(100)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, e := range few.All() {
			next++
			e.SetTimestamp(next)
		}
		r.Exemplars(1, 0, few, &c)
	}))
	assert.Equal(t, Counts{}, c)
	assert.Equal(t, 20, few.Len())
	assert.Equal(t, 1, r.Len())
}
