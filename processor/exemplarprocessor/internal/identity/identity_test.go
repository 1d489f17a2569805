// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func attrs(t testing.TB, raw map[string]any) pcommon.Map {
	m := pcommon.NewMap()
	require.NoError(t, m.FromRaw(raw))
	return m
}

// Each of them is another set of attributes.
func different() []map[string]any {
	return []map[string]any{
		{},
		{"a": nil},
		{"a": ""},
		{"": "a"},
		{"a": "b"},
		{"b": "a"},
		{"a": "a"},
		{"b": "b"},
		{"a": "b", "b": "a"},
		{"a": "a", "b": "b"},
		{"a": "1"},
		{"a": 1},
		{"a": 2},
		{"a": -1},
		{"a": 1.0},
		{"a": 1.5},
		{"a": true},
		{"a": false},
		{"a": []byte("1")},
		{"a": []byte{}},
		{"a": []any{}},
		{"a": []any{"1"}},
		{"a": []any{"1", "2"}},
		{"a": []any{"2", "1"}},
		{"a": []any{[]any{"1"}, "2"}},
		{"a": map[string]any{}},
		{"a": map[string]any{"1": "2"}},
		{"a": map[string]any{"2": "1"}},
		{"a": map[string]any{"1": map[string]any{"2": "3"}}},
	}
}

func TestDifferentAttributesAreDifferentSeries(t *testing.T) {
	known := map[uint64]map[string]any{}
	for _, raw := range different() {
		for _, id := range []uint64{Series(1, "m", attrs(t, raw)), Resource(attrs(t, raw))} {
			assert.Empty(t, known[id], "%v", raw)
			known[id] = raw
		}
	}
}

func TestEveryPartOfASeriesCounts(t *testing.T) {
	one := attrs(t, map[string]any{"a": "b"})
	ids := []uint64{
		Series(1, "m", one), Series(2, "m", one), Series(1, "n", one), Series(Scope(1, ""), "m", one), Series(Scope(1, "s"), "m", one),
		Scope(1, "s"), Scope(2, "s"), Resource(one), Except(one, func(string) bool { return false }),
	}
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), 9)
}

func TestTheOrderOfAttributesDoesNotCount(t *testing.T) {
	raw := map[string]any{"a": "x", "b": 1, "c": true, "d": map[string]any{"e": 1, "f": 2}, "g": 2.5}
	want := Series(1, "m", attrs(t, raw))
	names := slices.Sorted(maps.Keys(raw))
	for range 20 {
		names = append(names[1:], names[0])
		m := pcommon.NewMap()
		for _, name := range names {
			require.NoError(t, m.PutEmpty(name).FromRaw(raw[name]))
		}
		assert.Equal(t, want, Series(1, "m", m))
	}
}

func TestExceptIsWithout(t *testing.T) {
	leave := func(name string) bool { return name == "trace_id" }
	none := func(string) bool { return false }
	for _, raw := range different() {
		with := attrs(t, raw)
		with.PutStr("trace_id", "1")
		assert.Equal(t, Except(attrs(t, raw), none), Except(with, leave))
		assert.NotEqual(t, Except(with, none), Except(with, leave))
	}
}

func TestExemplarsAreToldApart(t *testing.T) {
	like := func(change func(pmetric.Exemplar)) pmetric.Exemplar {
		e := pmetric.NewExemplar()
		e.SetTraceID(pcommon.TraceID{1})
		e.SetSpanID(pcommon.SpanID{1})
		e.SetDoubleValue(1)
		change(e)
		return e
	}
	known := map[uint64]bool{Exemplar(like(func(pmetric.Exemplar) {}), 2): true}
	for i, change := range []func(pmetric.Exemplar){
		func(pmetric.Exemplar) {},
		func(e pmetric.Exemplar) { e.SetTraceID(pcommon.TraceID{2}) },
		func(e pmetric.Exemplar) { e.SetTraceID(pcommon.TraceID{8: 1}) },
		func(e pmetric.Exemplar) { e.SetSpanID(pcommon.SpanID{}) },
		func(e pmetric.Exemplar) { e.SetIntValue(1) },
		func(e pmetric.Exemplar) { e.SetDoubleValue(-1) },
		func(e pmetric.Exemplar) { e.SetTraceID(pcommon.TraceID{}) },
		func(e pmetric.Exemplar) {
			e.SetTraceID(pcommon.TraceID{})
			e.FilteredAttributes().PutStr("a", "b")
		},
	} {
		id := Exemplar(like(change), 1)
		assert.False(t, known[id], "%d", i)
		known[id] = true
	}
	with := like(func(e pmetric.Exemplar) { e.FilteredAttributes().PutStr("a", "b") })
	assert.Equal(t, Exemplar(like(func(pmetric.Exemplar) {}), 1), Exemplar(with, 1))
}

func TestManySeriesDoNotCollide(t *testing.T) {
	const n = 100_000
	known := make(map[uint64]struct{}, n)
	m := pcommon.NewMap()
	for i := range n {
		m.PutInt("i", int64(i%100))
		m.PutStr("s", strconv.Itoa(i/100))
		known[Series(1, "m", m)] = struct{}{}
	}
	assert.Len(t, known, n)
}

func TestStringsNumbersAndBoolsAreHashedWithoutAllocations(t *testing.T) {
	m := six()
	assert.Zero(t, testing.AllocsPerRun(100, func() { Series(1, "m", m) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { Except(m, func(name string) bool { return name == "error" }) }))
}

func six() pcommon.Map {
	m := pcommon.NewMap()
	m.PutStr("http.request.method", "GET")
	m.PutStr("http.route", "/api/v1/orders/{id}")
	m.PutInt("http.response.status_code", 200)
	m.PutStr("server.address", "orders.example.com")
	m.PutStr("network.protocol.version", "1.1")
	m.PutBool("error", false)
	return m
}

func BenchmarkSeriesOfSixAttributes(b *testing.B) {
	m := six()
	b.ReportAllocs()
	for b.Loop() {
		Series(1, "http.server.request.duration", m)
	}
}
