// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"encoding/json"
	"maps"
	"math"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
)

// truth checks what is to hold of all metrics that pass. It remembers of each
// series what was attached to it.
type truth struct {
	cfg    *Config
	series map[string]*history
	spans  map[spanID]fed // those of the generator
}

// fed is a span, and whose.
type fed struct {
	ptrace.Span
	resource pcommon.Map
}

type history struct {
	used map[spanID]bool
	last map[int]pcommon.Timestamp // by bucket; 0 where all of a series ascend together
}

type spanID struct {
	pcommon.TraceID
	pcommon.SpanID
}

func newTruth(cfg *Config) *truth { return &truth{cfg: cfg, series: map[string]*history{}} }

// goOn forgets what is from the future, as the clock was set back.
func (tr *truth) goOn(now pcommon.Timestamp) {
	for _, h := range tr.series {
		maps.DeleteFunc(h.last, func(_ int, last pcommon.Timestamp) bool { return last > now+pcommon.Timestamp(candidate.MaxAhead) })
	}
}

// saw notes spans that are to be fed.
func (tr *truth) saw(td ptrace.Traces) {
	if tr.spans == nil {
		tr.spans = map[spanID]fed{}
	}
	for _, rs := range td.ResourceSpans().All() {
		for _, s := range rs.ScopeSpans().At(0).Spans().All() {
			tr.spans[spanID{s.TraceID(), s.SpanID()}] = fed{s, rs.Resource().Attributes()}
		}
	}
}

// requireSpan checks that an exemplar is of a span that the point counts.
func (tr *truth) requireSpan(t *testing.T, resource pcommon.Map, d dataPoint, x pmetric.Exemplar) {
	t.Helper()
	s, ok := tr.spans[spanID{x.TraceID(), x.SpanID()}]
	require.True(t, ok, "of a span that came")
	require.Equal(t, s.EndTimestamp(), x.Timestamp())
	if _, ok := d.(pmetric.NumberDataPoint); !ok {
		require.InDelta(t, float64(s.EndTimestamp()-s.StartTimestamp())/1e9, x.DoubleValue(), 1e-9)
	}
	require.Equal(t, resource.AsRaw()["service.name"], s.resource.AsRaw()["service.name"])
	if path, ok := d.Attributes().Get("path"); ok && len(tr.cfg.Attach.Rules[0].Join) > 1 {
		require.Equal(t, path.Str(), s.Attributes().AsRaw()["path"])
	}
}

// requireHolds compares a batch with what became of it.
func (tr *truth) requireHolds(t *testing.T, before, after pmetric.Metrics) {
	t.Helper()
	require.Equal(t, stripped(t, before), stripped(t, after), "all but exemplars is as it was")

	var existing []map[spanID]bool
	eachExemplars(before, func(_ pcommon.Map, _ pmetric.Metric, _ dataPoint, exemplars pmetric.ExemplarSlice) {
		ids := map[spanID]bool{}
		for _, x := range exemplars.All() {
			ids[spanID{x.TraceID(), x.SpanID()}] = true
		}
		existing = append(existing, ids)
	})
	eachExemplars(after, func(resource pcommon.Map, m pmetric.Metric, d dataPoint, exemplars pmetric.ExemplarSlice) {
		had := existing[0]
		existing = existing[1:]
		var attached []pmetric.Exemplar
		for _, x := range exemplars.All() {
			if isAttached(x) && !had[spanID{x.TraceID(), x.SpanID()}] {
				attached = append(attached, x)
			}
		}
		if len(attached) > 0 {
			tr.requireTrue(t, resource, m, d, exemplars, attached)
		}
	})
}

// isAttached tells the IDs that tracesOf makes from others.
func isAttached(x pmetric.Exemplar) bool {
	trace := x.TraceID()
	return trace == pcommon.TraceID{14: trace[14], 15: trace[15]} && !trace.IsEmpty()
}

func (tr *truth) requireTrue(t *testing.T, resource pcommon.Map, m pmetric.Metric, d dataPoint, exemplars pmetric.ExemplarSlice, attached []pmetric.Exemplar) {
	t.Helper()
	require.LessOrEqual(t, exemplars.Len(), tr.cfg.Attach.MaxPerPoint)
	if tr.cfg.Attach.Existing == existingKeep || tr.cfg.Attach.Existing == existingReplace {
		require.Len(t, attached, exemplars.Len(), "not beside those that it had")
	}
	for i := 1; i < exemplars.Len(); i++ {
		require.LessOrEqual(t, exemplars.At(i-1).Timestamp(), exemplars.At(i).Timestamp(), "in the order of time")
	}
	name, err := json.Marshal([]any{resource.AsRaw(), m.Name(), d.Attributes().AsRaw()})
	require.NoError(t, err)
	h := tr.series[string(name)]
	if h == nil {
		h = &history{used: map[spanID]bool{}, last: map[int]pcommon.Timestamp{}}
		tr.series[string(name)] = h
	}
	if _, ok := d.(pmetric.HistogramDataPoint); !ok { // The exemplars that it had ascend with them.
		for _, x := range exemplars.All() {
			if !isAttached(x) {
				h.last[0] = max(h.last[0], min(x.Timestamp(), d.Timestamp()))
			}
		}
	}
	inBucket := map[int]bool{}
	for _, x := range attached {
		if d.StartTimestamp() <= d.Timestamp() { // A later one is not true.
			require.Greater(t, x.Timestamp(), d.StartTimestamp(), "after the begin of the point")
		}
		require.LessOrEqual(t, x.Timestamp(), d.Timestamp(), "not after the point")
		require.Zero(t, x.FilteredAttributes().Len())
		if tr.spans != nil {
			tr.requireSpan(t, resource, d, x)
		}
		bucket, count := bucketOf(d, x)
		require.Positive(t, count, "in a bucket that counted something")
		if _, ok := d.(pmetric.NumberDataPoint); !ok {
			require.False(t, inBucket[bucket], "one for each bucket")
			inBucket[bucket] = true
		}
		if tr.cfg.Attach.Repeat > 0 {
			continue
		}
		if _, ok := d.(pmetric.HistogramDataPoint); !ok {
			bucket = 0
		}
		id := spanID{x.TraceID(), x.SpanID()}
		require.False(t, h.used[id], "once in a series")
		require.Greater(t, x.Timestamp(), h.last[bucket], "later than those before")
		h.used[id], h.last[bucket] = true, x.Timestamp()
	}
}

// bucketOf returns the bucket that an exemplar is in, and how much it counted.
func bucketOf(d dataPoint, x pmetric.Exemplar) (int, uint64) {
	switch p := d.(type) {
	case pmetric.HistogramDataPoint:
		bucket := sort.SearchFloat64s(p.ExplicitBounds().AsRaw(), x.DoubleValue())
		if p.BucketCounts().Len() == 0 {
			return 0, p.Count()
		}
		return bucket, p.BucketCounts().At(bucket)
	case pmetric.ExponentialHistogramDataPoint:
		if x.DoubleValue() <= p.ZeroThreshold() {
			return -1, p.ZeroCount()
		}
		// A value of a bound may be rounded into either bucket.
		exact := math.Log2(x.DoubleValue()) * math.Exp2(float64(p.Scale()))
		for _, index := range []float64{math.Ceil(exact) - 1, math.Ceil(exact-1e-6) - 1, math.Ceil(exact+1e-6) - 1} {
			at := int(index) - int(p.Positive().Offset())
			if at >= 0 && at < p.Positive().BucketCounts().Len() && p.Positive().BucketCounts().At(at) > 0 {
				return at, p.Positive().BucketCounts().At(at)
			}
		}
		return 0, 0
	case pmetric.NumberDataPoint:
		if x.ValueType() == pmetric.ExemplarValueTypeInt && x.IntValue() == 1 {
			return 0, 1
		}
	}
	return 0, 0
}

// stripped is a copy without exemplars, as text.
func stripped(t *testing.T, md pmetric.Metrics) string {
	t.Helper()
	without := pmetric.NewMetrics()
	md.CopyTo(without)
	eachExemplars(without, func(_ pcommon.Map, _ pmetric.Metric, _ dataPoint, exemplars pmetric.ExemplarSlice) {
		exemplars.RemoveIf(func(pmetric.Exemplar) bool { return true })
	})
	text, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(without)
	require.NoError(t, err)
	return string(text)
}
