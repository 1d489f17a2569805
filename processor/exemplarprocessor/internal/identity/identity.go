// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package identity tells series and exemplars apart by 64-bit hashes. They are
// seeded anew in each process, so that nobody can choose attributes which
// collide; they are of no use outside of it.
//
// A map is hashed as the sum of its entries: the order does not matter, and
// nothing has to be sorted or copied.
package identity

import (
	"hash/maphash"
	"math"
	"math/bits"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var (
	seed = maphash.MakeSeed()

	// One for each kind of value, so that 1, "1" and true are not the same, and
	// for each role that a hash can have.
	kindInt, kindDouble, kindBool, kindBytes, kindMap, kindSlice, kindEmpty = secret("int"), secret("double"), secret("bool"),
		secret("bytes"), secret("map"), secret("slice"), secret("empty")
	roleName, roleResource, roleScope, roleSeries, roleExemplar = secret("name"), secret("resource"), secret("scope"),
		secret("series"), secret("exemplar")
)

// secret is a number that only this process knows. It is odd, as zero would
// make all products equal.
func secret(name string) uint64 { return maphash.String(seed, name) | 1 }

// Resource returns the identity of a resource with these attributes.
func Resource(attrs pcommon.Map) uint64 {
	return mix(entries(attrs), roleResource)
}

// Scope returns the identity of a scope of a resource. Series takes it instead
// of the resource's where scopes may have metrics of the same name.
func Scope(resource uint64, name string) uint64 {
	return mix(resource^roleScope, maphash.String(seed, name))
}

// Metric returns the identity of a metric of a resource or scope.
func Metric(resource uint64, name string) uint64 {
	return mix(resource^roleSeries, maphash.String(seed, name))
}

// Series returns the identity of the series which a data point belongs to.
func Series(resource uint64, metric string, attrs pcommon.Map) uint64 {
	return mix(Metric(resource, metric), entries(attrs)^roleSeries)
}

// Except returns the identity of the attributes but for those that leave says
// to leave out, as if they were not there.
func Except(attrs pcommon.Map, leave func(name string) bool) uint64 {
	var sum uint64
	for name, value := range attrs.All() {
		if !leave(name) {
			sum += entry(name, value)
		}
	}
	return sum
}

// Exemplar returns the identity of an exemplar: its IDs and its value, and the
// given time, which is not read from the exemplar so that the caller can leave
// it out with a zero. Filtered attributes count when there is no trace ID, as
// nothing else tells such exemplars apart.
func Exemplar(e pmetric.Exemplar, at pcommon.Timestamp) uint64 {
	trace, span := e.TraceID(), e.SpanID()
	sum := mix(word(trace[:8])^roleExemplar, word(trace[8:])^kindBytes)
	sum = mix(sum^word(span[:]), uint64(at)^roleExemplar)
	switch e.ValueType() {
	case pmetric.ExemplarValueTypeInt:
		sum = mix(sum^kindInt, uint64(e.IntValue())^roleExemplar)
	case pmetric.ExemplarValueTypeDouble:
		sum = mix(sum^kindDouble, math.Float64bits(e.DoubleValue())^roleExemplar)
	}
	if trace.IsEmpty() {
		sum = mix(sum^kindMap, entries(e.FilteredAttributes())^roleExemplar)
	}
	return sum
}

func entries(attrs pcommon.Map) uint64 {
	var sum uint64
	for name, value := range attrs.All() {
		sum += entry(name, value)
	}
	return sum
}

func entry(name string, value pcommon.Value) uint64 {
	return mix(maphash.String(seed, name)^roleName, hash(value))
}

func hash(value pcommon.Value) uint64 {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return maphash.String(seed, value.Str())
	case pcommon.ValueTypeInt:
		return mix(uint64(value.Int())^kindInt, kindEmpty)
	case pcommon.ValueTypeBool:
		if value.Bool() {
			return kindBool
		}
		return ^kindBool
	case pcommon.ValueTypeDouble:
		return mix(math.Float64bits(value.Double())^kindDouble, kindEmpty)
	case pcommon.ValueTypeBytes:
		return mix(maphash.Bytes(seed, value.Bytes().AsRaw()), kindBytes)
	case pcommon.ValueTypeMap:
		return mix(entries(value.Map())^kindMap, kindEmpty)
	case pcommon.ValueTypeSlice:
		sum := kindSlice
		for _, element := range value.Slice().All() {
			sum = mix(sum, hash(element)^kindSlice)
		}
		return sum
	default:
		return kindEmpty
	}
}

// mix makes one hash of two. Which is the first does not matter, so the callers
// mark one of them with what it is.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func word(b []byte) uint64 {
	var w uint64
	for _, c := range b {
		w = w<<8 | uint64(c)
	}
	return w
}
