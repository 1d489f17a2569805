// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package candidate keeps spans that could become exemplars, apart for each
// key, until they are too old or there are too many.
package candidate

import (
	"math"
	"time"
)

// Candidate is a span that could become an exemplar.
type Candidate struct {
	Trace [16]byte
	Span  [8]byte
	End   int64   // when the span ended, in nanoseconds of Unix time
	Value float64 // its duration in seconds, or what the rule takes of it
	Error bool
}

// Limits say how much a Store keeps.
type Limits struct {
	// Candidates is the largest number of candidates under all keys together.
	Candidates int

	// TTL is how long after its end a span is kept. The end counts and not the
	// arrival: it becomes the time of the exemplar, and what takes exemplars
	// refuses old ones. So TTL has to be longer than what delays the spans,
	// such as the wait of tail sampling, and the time between two data points.
	TTL time.Duration
}

// Outcome is what became of a candidate.
type Outcome uint8

const (
	// Kept is a candidate that can be drawn from now on.
	Kept Outcome = iota
	// Displaced is one that is like others which are there, and hardly newer.
	Displaced
	// Expired is one that ended longer ago than the TTL when it came.
	Expired
	// Ahead is one that ends in the future by more than clocks differ.
	Ahead
	// Invalid is one without IDs, or whose value is negative or not finite.
	Invalid
	// NoRoom is one for which no other could be given up.
	NoRoom
	// Outcomes is how many there are.
	Outcomes
)

const (
	// depth is how many candidates that are alike are kept under a key.
	depth = 8

	// spacing is how much later than the newest one like it a candidate has to
	// end to be kept when there are depth of them.
	spacing = int64(time.Second)
)

// MaxAhead is how far in the future a span may end, and the time of a data point
// may be: clocks differ. Beyond it a clock is wrong, and until that time all that
// follows would be older.
const MaxAhead = 10 * time.Second

func (c *Candidate) valid() bool {
	return c.Value >= 0 && c.Value <= math.MaxFloat64 && c.Trace != [16]byte{} && c.Span != [8]byte{}
}

// class tells which candidates are alike: failed or not, and of a value within
// the same quarter of an octave. The upper bits of a float are just that: its
// exponent and the first two bits of what follows. What is below a nanosecond
// is as good as nothing.
func (c *Candidate) class() uint16 {
	var class uint16
	if c.Value >= 1e-9 {
		class = uint16(math.Float64bits(c.Value)>>50) << 1
	}
	if c.Error {
		class |= 1
	}
	return class
}
