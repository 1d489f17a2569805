// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"encoding/json"
	"math"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// truth checks what is to hold of all metrics that pass. It remembers of each
// series what was attached to it.
type truth struct {
	cfg    *Config
	series map[string]*history
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
		require.Equal(t, exemplars.Len(), len(attached), "not beside those that it had")
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
	inBucket := map[int]bool{}
	for _, x := range attached {
		require.Greater(t, x.Timestamp(), d.StartTimestamp(), "after the begin of the point")
		require.LessOrEqual(t, x.Timestamp(), d.Timestamp(), "not after the point")
		require.Zero(t, x.FilteredAttributes().Len())
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
