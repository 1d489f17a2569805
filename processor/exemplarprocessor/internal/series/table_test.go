// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"cmp"
	"encoding/binary"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/lru"
)

// Times in tests are seconds after this.
const epoch = 1_700_000_000

// year is how far ahead a clock is that is wrong.
const year = 365 * 24 * 3600

func at(seconds int64) int64 { return (epoch + seconds) * int64(time.Second) }

// span returns a candidate with a number, by which tests know it.
func span(number byte, end int64, value float64) candidate.Candidate {
	return candidate.Candidate{Trace: [16]byte{number}, Span: [8]byte{number}, End: at(end), Value: value}
}

func failed(c candidate.Candidate) candidate.Candidate {
	c.Error = true
	return c
}

// drawing returns what Store.Draw would.
func drawing(cs []candidate.Candidate) func(after, upto int64) []candidate.Candidate {
	return func(after, upto int64) []candidate.Candidate {
		var drawn []candidate.Candidate
		for _, c := range cs {
			if c.End > after && c.End <= upto {
				drawn = append(drawn, c)
			}
		}
		return drawn
	}
}

// takeNow has a point come at its time.
func takeNow(table *Table, id uint64, p Point, scale float64, taken []Existing, draw func(after, upto int64) []candidate.Candidate, picks []Pick) ([]Pick, Tally) {
	return table.Take(p.Time, id, p, scale, taken, draw, picks)
}

// explicit has the bounds 1 and 2. Start and time are seconds after epoch.
func explicit(start, time int64, counts ...uint64) Point {
	return Point{Kind: Explicit, Start: at(start), Time: at(time), Bounds: []float64{1, 2}, Counts: counts}
}

// exponential has buckets with a base of 2, the first of which is (1, 2].
func exponential(start, time int64, counts ...uint64) Point {
	return Point{Kind: Exponential, Start: at(start), Time: at(time), Counts: counts}
}

func sum(start, time int64, value float64) Point {
	return Point{Kind: Sum, Start: at(start), Time: at(time), Value: value}
}

func delta(p Point) Point {
	p.Delta = true
	return p
}

func with(p Point, change func(*Point)) Point {
	change(&p)
	return p
}

// defaults are those of the configuration.
func defaults(o Options) Options {
	o.PerPoint, o.Keep, o.Ahead = cmp.Or(o.PerPoint, 20), cmp.Or(o.Keep, 5*time.Minute), cmp.Or(o.Ahead, 10*time.Second)
	return o
}

type step struct {
	now   int64 // in seconds after epoch; 0 is the time of the point
	point Point
	spans []candidate.Candidate // those that have come since the last step; all before stay
	taken []Existing
	want  []byte // numbers of the spans
	why   Why
}

func TestTake(t *testing.T) {
	unknown := func(p *Point) { p.Start = 0 }
	cases := []struct {
		name    string
		options Options
		since   int64
		steps   []step
	}{
		{name: "each bucket that grew gets one, in the order of time", steps: []step{
			{point: explicit(0, 10, 5, 1, 2), want: []byte{3, 1, 2}, spans: []candidate.Candidate{
				span(1, 5, 0.5), span(2, 6, 1.5), span(3, 4, 9),
			}},
		}},
		{name: "a bound belongs to the bucket below it", steps: []step{
			{point: explicit(0, 10, 1, 0, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1), span(2, 6, 2)}},
		}},
		{name: "a span that comes late finds the interval that counted it", steps: []step{
			{point: explicit(0, 10, 0, 1, 0), why: Empty},
			{point: explicit(0, 20, 0, 1, 0), why: Empty},
			{point: explicit(0, 30, 0, 1, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1.5)}},
			{point: explicit(0, 40, 0, 1, 0), why: Still},
		}},
		{name: "a span that ended while its bucket did not grow is not used", steps: []step{
			{point: explicit(0, 10, 0, 1, 0), why: Empty},
			{point: explicit(0, 20, 1, 1, 0), why: Empty},
			{point: explicit(0, 30, 1, 2, 0), why: Unfit, spans: []candidate.Candidate{span(1, 15, 1.5)}},
			{point: explicit(0, 40, 1, 2, 0), want: []byte{2}, spans: []candidate.Candidate{span(2, 25, 1.5)}},
			{point: explicit(0, 50, 1, 2, 0), why: Unfit, spans: []candidate.Candidate{span(3, 26, 1.5)}},
		}},
		{name: "the end of an interval belongs to it", steps: []step{
			{point: explicit(0, 10, 0, 1, 0), why: Empty, spans: []candidate.Candidate{span(1, 0, 1.5), span(2, 11, 1.5)}},
			{point: explicit(0, 20, 0, 1, 0), want: []byte{3}, spans: []candidate.Candidate{span(3, 10, 1.5)}},
		}},
		{name: "growth is forgotten in time", options: Options{Keep: 100 * time.Second}, steps: []step{
			{point: explicit(0, 10, 0, 1, 0), why: Empty},
			{point: explicit(0, 100, 1, 1, 0), why: Empty},
			{point: explicit(0, 200, 1, 1, 0), why: Still, spans: []candidate.Candidate{span(1, 5, 1.5), span(2, 50, 0.5)}},
		}},
		{name: "points that come fast share an interval", options: Options{Keep: 320 * time.Second}, steps: []step{
			{point: explicit(0, 1, 0, 1, 0), why: Empty},
			{point: explicit(0, 2, 0, 1, 0), why: Empty},
			{point: explicit(0, 3, 1, 1, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 2, 1.5)}},
		}},
		{name: "but nothing older than what was used of it", options: Options{Keep: 320 * time.Second}, steps: []step{
			{point: explicit(0, 3, 0, 1, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 2, 1.5)}},
			{point: explicit(0, 5, 1, 2, 0), why: Unfit, spans: []candidate.Candidate{span(2, 1, 1.5)}},
			{point: explicit(0, 6, 1, 2, 0), want: []byte{3}, spans: []candidate.Candidate{span(3, 4, 1.5)}},
		}},
		{name: "the newest", steps: []step{
			{point: explicit(0, 10, 0, 9, 0), want: []byte{2}, spans: []candidate.Candidate{
				span(1, 5, 1.5), span(2, 7, 1.2), failed(span(3, 6, 1.3)),
			}},
		}},
		{name: "an error", options: Options{Prefer: Errors}, steps: []step{
			{point: explicit(0, 10, 0, 9, 0), want: []byte{3}, spans: []candidate.Candidate{
				span(1, 5, 1.5), span(2, 7, 1.2), failed(span(3, 6, 1.3)), failed(span(4, 5, 1.3)),
			}},
		}},
		{name: "the slowest", options: Options{Prefer: Slowest}, steps: []step{
			{point: explicit(0, 10, 0, 9, 0), want: []byte{1}, spans: []candidate.Candidate{
				span(1, 5, 1.5), span(2, 7, 1.2), failed(span(3, 6, 1.3)),
			}},
		}},
		{name: "nothing older than what was used", steps: []step{
			{point: explicit(0, 10, 0, 1, 0), why: Empty},
			{point: explicit(0, 20, 0, 2, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 15, 1.5)}},
			{point: explicit(0, 30, 0, 3, 0), why: Empty, spans: []candidate.Candidate{span(2, 5, 1.5)}},
		}},
		{name: "but in another bucket", steps: []step{
			{point: explicit(0, 20, 0, 2, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, 15, 1.5)}},
			{point: explicit(0, 30, 0, 2, 1), want: []byte{2}, spans: []candidate.Candidate{span(2, 5, 3)}},
		}},
		{name: "more buckets than may be given", options: Options{PerPoint: 2}, steps: []step{
			{point: explicit(0, 10, 1, 1, 1), want: []byte{1, 3}, spans: []candidate.Candidate{
				span(1, 5, 0.5), span(2, 6, 1.5), span(3, 7, 9),
			}},
			{point: explicit(0, 20, 1, 1, 1), want: []byte{2}},
		}},

		{name: "what began before us is known since its start, but not used", since: at(7), steps: []step{
			{point: explicit(0, 10, 1, 1, 0), want: []byte{2}, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 8, 1.5)}},
			{point: explicit(0, 20, 1, 1, 0), why: Unfit},
		}},
		{name: "a start at the time of the point is a baseline", steps: []step{
			{point: explicit(10, 10, 1, 1, 0), why: Baseline, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 10, 0.5)}},
			{point: explicit(10, 20, 2, 1, 0), want: []byte{3}, spans: []candidate.Candidate{span(3, 11, 0.5), span(4, 12, 1.5)}},
		}},
		{name: "so is an unknown start", steps: []step{
			{point: with(explicit(0, 10, 1, 1, 0), unknown), why: Baseline, spans: []candidate.Candidate{span(1, 5, 0.5)}},
			{point: with(explicit(0, 20, 2, 1, 0), unknown), why: Empty},
			{point: with(explicit(0, 30, 2, 1, 0), unknown), want: []byte{2}, spans: []candidate.Candidate{span(2, 15, 0.5)}},
		}},
		{name: "counts that fell grew since the last point", steps: []step{
			{point: explicit(0, 10, 5, 5, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 9, 0.5)}},
			{point: explicit(0, 20, 4, 5, 0), why: Empty, spans: []candidate.Candidate{span(2, 8, 1.5)}},
			{point: explicit(0, 30, 4, 5, 0), want: []byte{3}, spans: []candidate.Candidate{span(3, 12, 1.5)}},
		}},
		{name: "also with an unknown start", steps: []step{
			{point: with(explicit(0, 10, 5, 5, 0), unknown), why: Baseline},
			{point: with(explicit(0, 20, 1, 0, 0), unknown), want: []byte{1}, spans: []candidate.Candidate{span(1, 15, 0.5), span(2, 16, 1.5)}},
		}},
		{name: "a start that moved is a new beginning", steps: []step{
			{point: explicit(0, 10, 5, 5, 0), why: Empty},
			{point: explicit(15, 20, 9, 9, 0), want: []byte{2}, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 16, 1.5)}},
		}},
		{name: "bounds that changed use nothing again", steps: []step{
			{point: explicit(0, 10, 1, 1, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 0.5)}},
			{point: with(explicit(0, 20, 1, 1, 0), func(p *Point) { p.Bounds = []float64{0.1, 2} }), want: []byte{2},
				spans: []candidate.Candidate{span(2, 6, 1.5)}},
		}},
		{name: "back in time", steps: []step{
			{point: explicit(0, 10, 1, 1, 0), why: Empty},
			{point: explicit(0, 10, 2, 2, 0), why: Backwards, spans: []candidate.Candidate{span(1, 5, 0.5)}},
			{point: explicit(0, 9, 0, 0, 0), why: Backwards},
			{point: explicit(0, 11, 1, 1, 0), want: []byte{1}},
		}},
		{name: "a point from the future is as if it had not come", steps: []step{
			{point: explicit(0, 10, 1, 0, 0), why: Empty},
			{now: 20, point: explicit(0, 31, 1, 1, 0), why: Ahead, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 15, 1.5), span(3, 25, 1.5)}},
			{now: 22, point: explicit(0, year, 1, 1, 1), why: Ahead, taken: []Existing{{Value: 1.5, Time: at(22)}}},
			{point: explicit(0, 30, 1, 1, 0), want: []byte{1, 3}},
		}},
		{name: "one that is hardly so is not", steps: []step{
			{now: 20, point: explicit(0, 30, 1, 0, 0), why: Empty},
			{point: explicit(0, 29, 1, 1, 0), why: Backwards},
			{point: explicit(0, 31, 1, 1, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 31, 1.5)}},
		}},
		{name: "the first of a series may be from the future", steps: []step{
			{now: 10, point: sum(0, year, 5), why: Ahead},
			{point: sum(0, 20, 6), want: []byte{1}, spans: []candidate.Candidate{span(1, 15, 1)}},
		}},
		{name: "a start from the future is none", steps: []step{
			{point: explicit(year, 10, 5, 5, 0), why: Baseline, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 10, 1.5)}},
			{point: explicit(year, 20, 6, 5, 0), want: []byte{3}, spans: []candidate.Candidate{span(3, 15, 0.5), span(4, 16, 1.5)}},
			{point: explicit(year, 30, 6, 1, 0), want: []byte{5}, spans: []candidate.Candidate{span(5, 25, 1.5)}}, // It fell.
		}},
		{name: "until its time has come", steps: []step{
			{point: explicit(15, 10, 5, 5, 0), why: Baseline},
			{point: explicit(15, 20, 6, 5, 0), want: []byte{2}, spans: []candidate.Candidate{span(1, 15, 0.5), span(2, 16, 0.5)}},
		}},
		{name: "nor is that of a delta", steps: []step{
			{point: delta(explicit(0, 10, 1, 1, 0)), why: Empty},
			{point: delta(explicit(year, 20, 1, 1, 0)), why: Baseline, spans: []candidate.Candidate{span(1, 15, 0.5)}},
			{point: delta(explicit(20, 30, 1, 1, 0)), want: []byte{2}, spans: []candidate.Candidate{span(2, 25, 0.5)}},
		}},
		{name: "the clock was ahead and is set back", steps: []step{
			{point: explicit(0, year, 1, 0, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, year-5, 0.5)}},
			{point: explicit(0, 100, 2, 0, 0), why: Baseline, spans: []candidate.Candidate{span(2, 95, 0.5)}},
			{point: explicit(0, 130, 3, 0, 0), want: []byte{4}, spans: []candidate.Candidate{span(3, 120, 0.5), span(4, 121, 0.5)}}, // Those up to 120 could have been used.
			{point: explicit(0, 140, 4, 0, 0), want: []byte{5}, spans: []candidate.Candidate{span(5, 135, 0.5)}},
		}},
		{name: "of a sum too", options: Options{Repeat: time.Minute}, steps: []step{
			{point: sum(0, year, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, year-5, 1)}},
			{point: sum(0, 100, 2), why: Baseline, spans: []candidate.Candidate{span(2, 95, 1)}},
			{point: sum(0, 130, 3), want: []byte{4}, spans: []candidate.Candidate{span(3, 120, 1), span(4, 121, 1)}},
		}},
		{name: "and of a delta", steps: []step{
			{point: delta(sum(year-10, year, 1)), want: []byte{1}, spans: []candidate.Candidate{span(1, year-5, 1)}},
			{point: delta(sum(90, 100, 1)), why: Still},
			{point: with(delta(sum(0, 110, 1)), unknown), why: Still},
			{point: delta(sum(110, 130, 1)), want: []byte{3}, spans: []candidate.Candidate{span(2, 120, 1), span(3, 121, 1)}},
		}},
		{name: "when the collector started too", since: at(year), steps: []step{
			{point: sum(0, 100, 1), why: Still, spans: []candidate.Candidate{span(1, 95, 1)}},
			{point: sum(0, 130, 2), want: []byte{3}, spans: []candidate.Candidate{span(2, 120, 1), span(3, 121, 1)}},
		}},
		{name: "a clock that is hardly set back", steps: []step{
			{now: 100, point: sum(0, 100, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, 95, 1)}},
			{now: 90, point: sum(0, 90, 2), why: Backwards},
			{now: 101, point: sum(0, 101, 2), want: []byte{2}, spans: []candidate.Candidate{span(2, 101, 1)}},
		}},

		{name: "a delta takes of its own time only", steps: []step{
			{point: delta(explicit(0, 10, 1, 1, 0)), want: []byte{2}, spans: []candidate.Candidate{span(1, 0, 0.5), span(2, 10, 0.5), span(3, 11, 0.5)}},
			{point: delta(explicit(10, 20, 1, 1, 0)), want: []byte{3}, spans: []candidate.Candidate{span(4, 9, 1.5)}},
			{point: delta(explicit(15, 30, 0, 0, 1)), why: Unfit, spans: []candidate.Candidate{span(5, 22, 0.5)}},
			{point: delta(explicit(10, 40, 1, 0, 0)), want: []byte{5}, why: Picked},
		}},
		{name: "a delta without a start began at the last one", steps: []step{
			{point: with(delta(explicit(0, 10, 1, 1, 0)), unknown), why: Baseline, spans: []candidate.Candidate{span(1, 5, 0.5)}},
			{point: with(delta(explicit(0, 20, 1, 1, 0)), unknown), want: []byte{2}, spans: []candidate.Candidate{span(2, 11, 0.5)}},
		}},

		{name: "an exponential histogram has a zero bucket", steps: []step{
			{point: with(exponential(0, 10, 1, 1), func(p *Point) { p.ZeroCount, p.ZeroThreshold = 1, 0.25 }), want: []byte{1, 4},
				spans: []candidate.Candidate{span(1, 5, 0.25), span(2, 6, 0.26), span(3, 7, 1), span(4, 8, 2), span(5, 9, 4.1)}},
		}},
		{name: "its times ascend over all buckets", steps: []step{
			{point: exponential(0, 10, 1, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1.5)}},
			{point: exponential(0, 20, 1, 1), why: Empty, spans: []candidate.Candidate{span(2, 5, 3), span(3, 4, 3)}},
			{point: exponential(0, 30, 1, 1), want: []byte{4}, spans: []candidate.Candidate{span(4, 6, 3)}},
		}},
		{name: "and are not equal", steps: []step{
			{point: exponential(0, 10, 1, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1.5), span(2, 5, 3)}},
		}},
		{name: "they are spread from the lowest to the highest", options: Options{PerPoint: 3}, steps: []step{
			{point: exponential(0, 10, 1, 1, 1, 1, 1), want: []byte{1, 3, 5}, spans: []candidate.Candidate{
				span(1, 1, 2), span(2, 2, 4), span(3, 3, 8), span(4, 4, 16), span(5, 5, 32),
			}},
		}},
		{name: "growth outlives a lower scale", steps: []step{
			{point: with(exponential(0, 10, 0, 1, 5), func(p *Point) { p.Offset = -1 }), why: Empty}, // (1, 2] and (2, 4]
			{point: with(exponential(0, 20, 6, 0), func(p *Point) { p.Scale = -1 }), want: []byte{1}, // (1, 4] and (4, 16]
				spans: []candidate.Candidate{span(1, 5, 1.5), span(2, 15, 3)}},
		}},
		{name: "of whichever of the buckets that are merged", steps: []step{
			{point: exponential(0, 10, 1, 1, 0, 1), want: []byte{1, 2}, spans: []candidate.Candidate{span(1, 8, 3), span(2, 9, 12)}},
			{point: exponential(0, 20, 2, 1, 0, 2), why: Empty},
			{point: with(exponential(0, 30, 3, 2), func(p *Point) { p.Scale = -1 }), want: []byte{3, 4},
				spans: []candidate.Candidate{span(3, 15, 1.5), span(4, 16, 12)}},
		}},
		{name: "a higher one is a new beginning", steps: []step{
			{point: exponential(0, 10, 1, 1), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1.5)}},
			{point: with(exponential(0, 20, 1), func(p *Point) { p.Scale = 1 }), want: []byte{2}, spans: []candidate.Candidate{span(2, 6, 1.2)}},
		}},
		{name: "more buckets below and above", steps: []step{
			{point: exponential(0, 10, 1), why: Empty},
			{point: with(exponential(0, 20, 1, 1, 1), func(p *Point) { p.Offset = -1 }), want: []byte{1, 2, 3},
				spans: []candidate.Candidate{span(1, 5, 1.5), span(2, 15, 0.6), span(3, 16, 3), span(4, 15, 1.5)}},
		}},

		{name: "a sum gets a few", steps: []step{
			{point: sum(0, 10, 100), want: []byte{2, 3, 4}, spans: []candidate.Candidate{span(1, 1, 1), span(2, 2, 1), span(3, 3, 1), span(4, 4, 1)}},
		}},
		{name: "but not more than it grew by", steps: []step{
			{point: sum(0, 10, 2), want: []byte{2, 3}, spans: []candidate.Candidate{span(1, 1, 1), span(2, 2, 1), span(3, 3, 1)}},
			{point: sum(0, 20, 2), why: Still},
			{point: sum(0, 30, 3), want: []byte{6}, spans: []candidate.Candidate{span(4, 4, 1), span(5, 25, 1), span(6, 26, 1), span(7, 15, 1)}},
		}},
		{name: "nor in any interval", steps: []step{
			{point: sum(0, 10, 1), why: Empty},
			{point: sum(0, 20, 3), want: []byte{2, 3}, spans: []candidate.Candidate{span(1, 8, 1), span(2, 9, 1), span(3, 12, 1)}},
		}},
		{name: "what is left of an interval is neither more nor longer", options: Options{PerPoint: 2}, steps: []step{
			{point: sum(0, 10, 3), taken: []Existing{{Value: 1, Time: at(1)}}, want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1)}},
			{point: sum(0, 20, 3), why: Empty, spans: []candidate.Candidate{span(2, 15, 1)}},
			{point: sum(0, 30, 3), want: []byte{4}, spans: []candidate.Candidate{span(3, 6, 1), span(4, 7, 1)}},
			{point: sum(0, 40, 3), why: Still, spans: []candidate.Candidate{span(5, 8, 1)}},
		}},
		{name: "nor more than one that ended at once", steps: []step{
			{point: sum(0, 10, 9), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 1), span(2, 5, 1)}},
		}},
		{name: "nor more than may be given", options: Options{PerPoint: 1}, steps: []step{
			{point: delta(sum(0, 10, 9)), want: []byte{2}, spans: []candidate.Candidate{span(1, 4, 1), span(2, 5, 1)}},
		}},
		{name: "a sum that grew by less than one", steps: []step{{point: sum(0, 10, 0.5), why: Still}}},

		{name: "a bucket that has an exemplar gets no other", steps: []step{
			{point: explicit(0, 10, 1, 1, 0), taken: []Existing{{Value: 0.7, Time: at(6)}}, want: []byte{2},
				spans: []candidate.Candidate{span(1, 9, 0.5), span(2, 4, 1.5)}},
			{point: explicit(0, 20, 1, 1, 0), why: Still},
			{point: explicit(0, 30, 2, 1, 0), want: []byte{3}, spans: []candidate.Candidate{span(3, 21, 0.5)}},
		}},
		{name: "nor one that is older", steps: []step{
			{point: explicit(0, 10, 1, 0, 0), why: Empty},
			{point: explicit(0, 20, 2, 0, 0), taken: []Existing{{Value: 0.7, Time: at(16)}}, why: Still, spans: []candidate.Candidate{span(1, 16, 0.5)}},
			{point: explicit(0, 30, 3, 0, 0), want: []byte{2}, spans: []candidate.Candidate{span(2, 26, 0.5)}},
		}},
		{name: "an exemplar from the future does not keep others out", steps: []step{
			{point: explicit(0, 10, 1, 0, 0), taken: []Existing{{Value: 0.7, Time: at(1000)}}, why: Still},
			{point: explicit(0, 20, 2, 0, 0), want: []byte{1}, spans: []candidate.Candidate{span(1, 11, 0.5)}},
		}},
		{name: "an exponential histogram that has some", options: Options{PerPoint: 2}, steps: []step{
			{point: exponential(0, 10, 1, 1, 1), taken: []Existing{{Value: 1.5, Time: at(3)}}, want: []byte{4},
				spans: []candidate.Candidate{span(1, 9, 1.5), span(2, 2, 3), span(3, 5, 4), span(4, 6, 8)}},
		}},
		{name: "a sum that has some", steps: []step{
			{point: sum(0, 10, 9), taken: []Existing{{Value: 1, Time: at(3)}, {Value: 1, Time: at(2)}}, want: []byte{2},
				spans: []candidate.Candidate{span(1, 2, 1), span(2, 4, 1)}},
		}},

		{name: "one that it has is part of what it grew by", steps: []step{
			{point: sum(0, 10, 2), want: []byte{1}, spans: []candidate.Candidate{span(1, 2, 1)}},
			{point: sum(0, 20, 2), taken: []Existing{{Value: 1, Time: at(5)}}, why: Still},
			{point: sum(0, 30, 2), why: Still, spans: []candidate.Candidate{span(2, 7, 1)}},
		}},
		{name: "but only once if it comes with each point", steps: []step{
			{point: sum(0, 10, 3), taken: []Existing{{Value: 1, Time: at(5)}}, why: Empty},
			{point: sum(0, 20, 3), taken: []Existing{{Value: 1, Time: at(5)}}, why: Empty},
			{point: sum(0, 30, 3), want: []byte{1, 2}, spans: []candidate.Candidate{span(1, 6, 1), span(2, 7, 1)}},
		}},

		{name: "the last of each bucket is given again", options: Options{Repeat: 30 * time.Second}, steps: []step{
			{point: explicit(0, 10, 1, 1, 0), want: []byte{1, 2}, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 6, 1.5)}},
			{point: explicit(0, 20, 1, 2, 0), want: []byte{1, 3}, spans: []candidate.Candidate{span(3, 15, 1.5)}},
			{point: explicit(0, 30, 1, 2, 0), want: []byte{1, 3}, why: Still},
			{point: explicit(0, 35, 2, 2, 0), want: []byte{3}, why: Empty},
			{point: explicit(0, 40, 2, 2, 0), taken: []Existing{{Value: 1.5, Time: at(38)}}, why: Empty},
			{point: explicit(0, 41, 2, 2, 0), why: Empty},
		}},
		{name: "in a sum they are all replaced", options: Options{Repeat: 30 * time.Second}, steps: []step{
			{point: sum(0, 10, 2), want: []byte{1, 2}, spans: []candidate.Candidate{span(1, 5, 0.5), span(2, 6, 1.5)}},
			{point: sum(0, 20, 2), want: []byte{1, 2}, why: Still},
			{point: sum(0, 30, 3), want: []byte{3}, spans: []candidate.Candidate{span(3, 25, 1.5)}},
			{point: sum(0, 40, 3), want: []byte{3}, why: Still},
			{point: sum(45, 50, 1), why: Empty},
		}},
		{name: "deltas have nothing again", options: Options{Repeat: 30 * time.Second}, steps: []step{
			{point: delta(sum(0, 10, 2)), want: []byte{1}, spans: []candidate.Candidate{span(1, 5, 0.5)}},
			{point: delta(sum(10, 20, 2)), why: Empty},
		}},
		{name: "a delta without a start after one from the future began at an unknown time", steps: []step{
			{point: with(delta(sum(0, 10, 1)), unknown), why: Baseline},
			{now: 20, point: with(delta(sum(0, year, 1)), unknown), why: Ahead},
			{point: with(delta(sum(0, 30, 1)), unknown), why: Baseline, spans: []candidate.Candidate{span(1, 15, 0.5)}},
			{point: with(delta(sum(0, 40, 1)), unknown), want: []byte{2}, spans: []candidate.Candidate{span(2, 35, 0.5)}},
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := NewTable(1, c.since, defaults(c.options))
			var spans []candidate.Candidate
			for i, s := range c.steps {
				spans = append(spans, s.spans...)
				now := s.point.Time
				if s.now != 0 {
					now = at(s.now)
				}
				picks, tally := table.Take(now, 1, s.point, 1, s.taken, drawing(spans), nil)
				var got []byte
				for _, pick := range picks {
					got = append(got, pick.Trace[0])
				}
				assert.Equalf(t, s.want, got, "step %d", i)
				assert.Equalf(t, s.why, tally.Why, "step %d", i)
				assert.Equal(t, len(got), tally.Picked+tally.Repeated)
				assert.Equal(t, tally.Drawn, tally.Picked+tally.Outside+tally.Used+tally.Ungrown+tally.Surplus)
			}
		})
	}
}

func TestValuesAreInTheUnitOfTheMetric(t *testing.T) {
	table := NewTable(2, 0, defaults(Options{}))
	spans := drawing([]candidate.Candidate{span(1, 5, 0.0015)})
	picks, _ := takeNow(table, 1, explicit(0, 10, 0, 1, 0), 1000, nil, spans, nil)
	require.Len(t, picks, 1)
	assert.Equal(t, 1.5, picks[0].Value)
	picks, _ = takeNow(table, 2, sum(0, 10, 1), 1000, nil, spans, picks)
	require.Len(t, picks, 2, "they are appended")
	assert.Equal(t, 1.0, picks[1].Value)
	picks, tally := takeNow(table, 1, explicit(0, 20, 2, 2, 0), 1, nil, spans, nil)
	assert.Empty(t, picks, "not in another unit either")
	assert.Equal(t, Empty, tally.Why)
}

func TestTallySaysWhyNot(t *testing.T) {
	table := NewTable(1, 0, defaults(Options{}))
	p := with(exponential(0, 20, 1, 1), func(p *Point) { p.Offset = 1 }) // (2, 4] and (4, 8]
	takeNow(table, 1, p, 1, nil, drawing([]candidate.Candidate{span(1, 5, 3)}), nil)
	p.Time, p.Counts = at(30), []uint64{2, 1}
	cs := []candidate.Candidate{span(1, 5, 3), span(2, 21, 1), span(3, 22, 8), span(4, 23, 3), span(5, 24, 3), span(6, -1, 3)}
	picks, tally := takeNow(table, 1, p, 1, nil, func(int64, int64) []candidate.Candidate { return cs }, nil)
	assert.Len(t, picks, 1)
	assert.Equal(t, Tally{Drawn: 6, Picked: 1, Outside: 1, Used: 2, Ungrown: 1, Surplus: 1}, tally)

	table = NewTable(1, at(3), defaults(Options{}))
	cs = []candidate.Candidate{span(1, 3, 1), span(2, 4, 1), span(3, 11, 1), span(4, 6, 1), span(5, 7, 1)}
	picks, tally = takeNow(table, 1, sum(5, 10, 1), 1, nil, func(int64, int64) []candidate.Candidate { return cs }, nil)
	require.Len(t, picks, 1)
	assert.EqualValues(t, 5, picks[0].Trace[0])
	assert.Equal(t, Tally{Drawn: 5, Picked: 1, Used: 1, Ungrown: 2, Surplus: 1}, tally)
	cs = cs[3:]
	picks, tally = takeNow(table, 1, sum(5, 20, 2), 1, nil, func(int64, int64) []candidate.Candidate { return cs }, nil)
	assert.Empty(t, picks)
	assert.Equal(t, Tally{Why: Unfit, Drawn: 2, Used: 2}, tally)
}

func TestRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	bad := map[string]Point{
		"no buckets":           with(explicit(0, 10), func(p *Point) { p.Bounds = nil }),
		"too few counts":       explicit(0, 10, 1, 1),
		"bounds do not ascend": with(explicit(0, 10, 1, 1, 1), func(p *Point) { p.Bounds = []float64{1, 1} }),
		"a bound is not one":   with(explicit(0, 10, 1, 1, 1), func(p *Point) { p.Bounds = []float64{nan, 1} }),
		"too many buckets": with(explicit(0, 10), func(p *Point) {
			p.Bounds, p.Counts = make([]float64, MaxBuckets), make([]uint64, MaxBuckets+1)
			for i := range p.Bounds {
				p.Bounds[i] = float64(i)
			}
		}),
		"too many exponential buckets": exponential(0, 10, make([]uint64, MaxBuckets+1)...),
		"scale":                        with(exponential(0, 10, 1), func(p *Point) { p.Scale = 21 }),
		"low scale":                    with(exponential(0, 10, 1), func(p *Point) { p.Scale = -12 }),
		"zero threshold":               with(exponential(0, 10, 1), func(p *Point) { p.ZeroThreshold = -1 }),
		"zero threshold not a number":  with(exponential(0, 10, 1), func(p *Point) { p.ZeroThreshold = nan }),
		"negative sum":                 sum(0, 10, -1),
		"infinite sum":                 sum(0, 10, inf),
		"sum not a number":             sum(0, 10, nan),
		"unknown kind":                 {Kind: Sum + 1, Time: at(10)},
		"no time":                      with(sum(0, 10, 1), func(p *Point) { p.Time = 0 }),
		"negative start":               with(sum(0, 10, 1), func(p *Point) { p.Start = -1 }),
	}
	for name, p := range bad {
		t.Run(name, func(t *testing.T) {
			table := NewTable(1, 0, defaults(Options{}))
			_, tally := takeNow(table, 1, p, 1, nil, drawing(nil), nil)
			assert.Equal(t, Tally{Why: Refused}, tally)
			held, _ := table.Stats()
			assert.Zero(t, held)
		})
	}
	good := map[string]Point{
		"the most buckets": with(explicit(0, 10), func(p *Point) {
			p.Bounds, p.Counts = make([]float64, MaxBuckets-1), make([]uint64, MaxBuckets)
			for i := range p.Bounds {
				p.Bounds[i] = float64(i)
			}
		}),
		"the most exponential buckets": exponential(0, 10, make([]uint64, MaxBuckets)...),
		"one bucket":                   with(explicit(0, 10, 0), func(p *Point) { p.Bounds = nil }),
		"infinite bounds":              with(explicit(0, 10, 0, 0, 0), func(p *Point) { p.Bounds = []float64{-inf, inf} }),
	}
	for name, p := range good {
		t.Run(name, func(t *testing.T) {
			_, tally := takeNow(NewTable(1, 0, defaults(Options{})), 1, p, 1, nil, drawing(nil), nil)
			assert.Equal(t, Tally{Why: Still}, tally)
		})
	}
	_, tally := takeNow(NewTable(0, 0, defaults(Options{})), 1, sum(0, 10, 1), 1, nil, drawing(nil), nil)
	assert.Equal(t, Tally{Why: Refused}, tally, "no room for any series")
}

func TestForgottenSeriesUsesNothingAgain(t *testing.T) {
	table := NewTable(2, 0, defaults(Options{}))
	spans := drawing([]candidate.Candidate{span(1, 5, 0.5), span(2, 6, 1.5)})
	take := func(id uint64, p Point) []Pick {
		picks, _ := takeNow(table, id, p, 1, nil, spans, nil)
		return picks
	}
	// All in one shard, or the order would be that of the shards.
	a, b, c := uint64(0), uint64(lru.Shards), uint64(2*lru.Shards)
	assert.Len(t, take(a, explicit(0, 10, 1, 0, 0)), 1)
	take(b, explicit(0, 10, 0, 0, 0))
	take(a, explicit(0, 11, 1, 0, 0))
	take(c, explicit(0, 10, 0, 0, 0)) // b is forgotten
	held, evicted := table.Stats()
	assert.Equal(t, []int64{2, 1}, []int64{int64(held), evicted})
	_, tally := takeNow(table, b, explicit(0, 10, 0, 0, 0), 1, nil, spans, nil) // a is forgotten
	assert.Equal(t, Still, tally.Why, "it is new")
	picks := take(a, explicit(0, 20, 1, 1, 0))
	require.Len(t, picks, 1, "it had used the first")
	assert.EqualValues(t, 2, picks[0].Trace[0])
}

// What is used of series that were forgotten while the clock was ahead keeps
// nothing out for longer than what is used of those which are there.
func TestTheClockIsSetBackAfterSeriesWereForgotten(t *testing.T) {
	table := NewTable(1, 0, defaults(Options{}))
	spans := drawing([]candidate.Candidate{span(1, year-5, 1), span(2, 120, 1), span(3, 121, 1)})
	a, b := uint64(0), uint64(lru.Shards) // All in one shard.
	for _, s := range []struct {
		id    uint64
		point Point
		picks int
	}{
		{a, sum(0, year, 1), 1},
		{b, sum(0, 100, 1), 0}, // a is forgotten
		{b, sum(0, 130, 2), 1},
		{a, sum(0, 130, 1), 0}, // b is forgotten
		{a, sum(0, 140, 2), 0},
	} {
		picks, tally := takeNow(table, s.id, s.point, 1, nil, spans, nil)
		assert.Len(t, picks, s.picks)
		assert.NotEqual(t, Backwards, tally.Why)
	}
	picks, _ := takeNow(table, a, sum(0, 160, 3), 1, nil, drawing([]candidate.Candidate{span(4, 141, 1)}), nil)
	assert.Len(t, picks, 1)
}

func TestFullTableLooksIntoOtherShards(t *testing.T) {
	table := NewTable(1, 0, defaults(Options{}))
	for id := range uint64(100) {
		_, tally := takeNow(table, id, sum(0, 10, 1), 1, nil, drawing(nil), nil)
		assert.Equal(t, Empty, tally.Why)
	}
	held, evicted := table.Stats()
	assert.Equal(t, []int64{1, 99}, []int64{int64(held), evicted})
}

// By the definition: bucket n is (base^n, base^(n+1)].
func TestIndex(t *testing.T) {
	for scale := int32(minScale); scale <= maxScale; scale++ {
		for _, v := range []float64{math.SmallestNonzeroFloat64, 1e-300, 1e-9, 0.001, 0.3, 0.999, 1.001, 1.5, 2.1, 3, 1000.5, 1e9, math.MaxFloat64} {
			want := math.Log2(v) * math.Exp2(float64(scale))
			got := float64(index(v, scale))
			slack := 1e-9 * (1 + math.Abs(want))
			assert.Lessf(t, got, want+slack, "%g at scale %d", v, scale)
			assert.GreaterOrEqualf(t, got+1, want-slack, "%g at scale %d", v, scale)
		}
		if scale < 0 {
			continue
		}
		for power := -20; power <= 20; power++ { // Powers of 2 are bounds, to the bit.
			v := math.Ldexp(1, power)
			assert.Equal(t, power<<scale-1, index(v, scale))
			assert.Equal(t, power<<scale, index(math.Nextafter(v, 1e9)*(1+1e-9), scale))
		}
	}
	assert.Equal(t, -1, index(1, -1))
	assert.Equal(t, 0, index(4, -1))
	assert.Equal(t, 1, index(4.5, -1))
	assert.Equal(t, -1, index(0.25000001, -1))
	assert.Equal(t, -2, index(0.25, -1))
}

func TestManyAtOnce(t *testing.T) {
	const limit = 40
	table := NewTable(limit, 0, defaults(Options{Repeat: time.Minute}))
	store := candidate.NewStore(candidate.Limits{Candidates: 200, TTL: time.Minute})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			var buf []candidate.Candidate
			var picks []Pick
			for i := range int64(2000) {
				c := span(1, i, float64(i%3))
				binary.BigEndian.PutUint64(c.Span[:], uint64(i)<<8|uint64(w))
				store.Add(at(i), uint64(i%10), c)
				picks, _ = takeNow(table, uint64(i*int64(w+1))%100, explicit(0, i+1, uint64(i), uint64(i), uint64(i)), 1, nil, func(after, upto int64) []candidate.Candidate {
					buf = store.Draw(at(i), uint64(i%10), after, upto, buf[:0])
					return buf
				}, picks[:0])
				for _, pick := range picks {
					if pick.End > at(i+1) {
						t.Errorf("%v is from after the point", pick)
					}
				}
				if held, _ := table.Stats(); held > limit+8 { // Each writer may have taken a place that it has not paid for yet.
					t.Errorf("%d are held", held)
				}
			}
		})
	}
	wg.Wait()
	held, evicted := table.Stats()
	assert.LessOrEqual(t, held, limit)
	assert.Positive(t, evicted)
}
