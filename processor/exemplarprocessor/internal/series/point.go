// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"math"
	"sort"
)

// Kind is what a data point is of.
type Kind uint8

const (
	// Explicit is a histogram with explicit bounds.
	Explicit Kind = iota
	// Exponential is an exponential histogram.
	Exponential
	// Sum is a monotonic sum.
	Sum
)

// MaxBuckets is the largest number of buckets of a data point; of an
// exponential histogram, of positive ones.
const MaxBuckets = 320

// Scales that exponential histograms have. With the lowest all numbers are in
// two buckets, and beyond the highest floats are too coarse.
const (
	minScale = -11
	maxScale = 20
)

// Point is what matters of a data point. Its slices are only read, and not kept.
type Point struct {
	Kind  Kind
	Delta bool

	// Start and Time are in nanoseconds of Unix time. An unknown Start is 0.
	Start, Time int64

	// Bounds are the upper bounds of an explicit histogram, in rising order.
	Bounds []float64

	// Counts has one more than Bounds, or is of the positive buckets of an
	// exponential histogram, the first of which is Offset.
	Counts []uint64

	// Those of an exponential histogram.
	Scale, Offset int32
	ZeroCount     uint64
	ZeroThreshold float64

	// Value is that of a sum.
	Value float64
}

// buckets returns how many buckets are remembered. The first one of an
// exponential histogram is the zero bucket. A sum has as many as it can get
// exemplars at once: the nth of them grew when the sum grew by n at least.
func (p *Point) buckets() int {
	switch p.Kind {
	case Explicit:
		return len(p.Counts)
	case Exponential:
		return len(p.Counts) + 1
	default:
		return maxPerSum
	}
}

func (p *Point) count(bucket int) uint64 {
	if p.Kind == Explicit {
		return p.Counts[bucket]
	}
	if bucket == 0 {
		return p.ZeroCount
	}
	return p.Counts[bucket-1]
}

// check returns what tells points apart whose buckets cannot be compared, and
// false for a point that cannot be understood.
func (p *Point) check(scale float64) (layout uint64, ok bool) {
	layout = mix(uint64(p.Kind), math.Float64bits(scale))
	if p.Delta {
		layout = mix(layout, 1)
	}
	if p.Time <= 0 || p.Start < 0 {
		return 0, false
	}
	switch p.Kind {
	case Explicit:
		if len(p.Counts) != len(p.Bounds)+1 || len(p.Counts) > MaxBuckets {
			return 0, false
		}
		last := math.Inf(-1)
		for i, bound := range p.Bounds {
			if !(bound > last || i == 0 && bound == last) { // Written so that NaN is refused too.
				return 0, false
			}
			last = bound
			layout = mix(layout, math.Float64bits(bound))
		}
		return layout, true
	case Exponential:
		ok = len(p.Counts) <= MaxBuckets && p.Scale >= minScale && p.Scale <= maxScale &&
			p.ZeroThreshold >= 0 && p.ZeroThreshold <= math.MaxFloat64
		return mix(layout, math.Float64bits(p.ZeroThreshold)), ok
	case Sum:
		return layout, p.Value >= 0 && p.Value <= math.MaxFloat64
	}
	return 0, false
}

// mix is the round of a hash: good enough to see that bounds have changed.
func mix(hash, with uint64) uint64 {
	hash = (hash ^ with) * 0x9e3779b97f4a7c15
	return hash ^ hash>>29
}

// locate returns the bucket that a value is in, and false if there is none.
func (p *Point) locate(value float64) (int, bool) {
	if !(value >= 0 && value <= math.MaxFloat64) { // Written so that NaN is refused too.
		return 0, false
	}
	switch p.Kind {
	case Explicit:
		return sort.SearchFloat64s(p.Bounds, value), true
	case Exponential:
		if value <= p.ZeroThreshold {
			return 0, true
		}
		at := index(value, p.Scale) - int(p.Offset)
		return at + 1, at >= 0 && at < len(p.Counts)
	}
	return 0, true
}

// index returns the number of the bucket (base^n, base^(n+1)] that a positive
// value is in, where the base is 2^(2^-scale).
func index(value float64, scale int32) int {
	fraction, exponent := math.Frexp(value) // fraction in [0.5, 1)
	if fraction == 0.5 {
		// A power of 2 is the upper bound of its bucket.
		fraction, exponent = 1, exponent-1
	}
	if scale <= 0 {
		return (exponent - 1) >> -scale
	}
	// The logarithm of the fraction is in (-1, 0].
	return exponent<<scale + int(math.Ceil(math.Log2(fraction)*float64(int(1)<<scale))) - 1
}
