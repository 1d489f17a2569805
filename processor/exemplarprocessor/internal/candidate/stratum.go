// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package candidate

import "slices"

// A stratum is the candidates of one class under one key, at most depth, in the
// order of their ends. A rare slow span is in another than the many fast ones
// and is not displaced by them.
type stratum struct {
	class  uint16
	newest int64 // the last end, which most spans are only compared with
	ring   []Candidate
}

// insert keeps the order. Spans mostly come in it.
func (s *stratum) insert(c Candidate) {
	s.ring = append(s.ring, c)
	for i := len(s.ring) - 1; i > 0 && s.ring[i-1].End > c.End; i-- {
		s.ring[i], s.ring[i-1] = s.ring[i-1], c
	}
	s.newest = s.ring[len(s.ring)-1].End
}

// expire drops what ended at or before the time and returns how many.
func (s *stratum) expire(until int64) int {
	n := 0
	for n < len(s.ring) && s.ring[n].End <= until {
		n++
	}
	if n > 0 {
		s.ring = shrink(slices.Delete(s.ring, 0, n))
	}
	return n
}

// cut drops what ends after the time and returns how many.
func (s *stratum) cut(limit int64) int {
	left := len(s.ring)
	for left > 0 && s.ring[left-1].End > limit {
		left--
	}
	n := len(s.ring) - left
	if n > 0 {
		s.ring = shrink(slices.Delete(s.ring, left, len(s.ring)))
	}
	if left > 0 {
		s.newest = s.ring[left-1].End
	}
	return n
}

// replace puts the candidate, which is the newest, in the place of another.
//
// It is not the oldest that goes: data points take spans that ended before
// them, and come late themselves. So the further back, the wider apart are the
// ends that stay: what goes leaves the smallest gap compared to its age.
func (s *stratum) replace(c Candidate) {
	victim, smallest := 0, 2.0
	for i := 1; i < len(s.ring); i++ {
		next := c.End
		if i+1 < len(s.ring) {
			next = s.ring[i+1].End
		}
		before := s.ring[i-1].End
		if gap := float64(next-before) / float64(c.End-before); gap < smallest {
			victim, smallest = i, gap
		}
	}
	copy(s.ring[victim:], s.ring[victim+1:])
	s.ring[len(s.ring)-1] = c
	s.newest = c.End
}

// shrink gives memory back, so that it is bounded by what is kept.
func shrink[S ~[]E, E any](s S) S {
	if len(s)*2 <= cap(s) {
		return append(make(S, 0, len(s)), s...)
	}
	return s
}
