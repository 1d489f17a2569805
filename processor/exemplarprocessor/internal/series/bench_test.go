// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
)

// hashed makes IDs like hashes.
func hashed(i int) uint64 {
	h := uint64(i+1) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// latency has 15 buckets, each of which grew with every point.
func latency() Point {
	p := Point{Kind: Explicit, Start: at(0), Counts: make([]uint64, 15)}
	for i := range 14 {
		p.Bounds = append(p.Bounds, 0.001*float64(int(1)<<i))
	}
	return p
}

func (p *Point) advance(by time.Duration) {
	p.Time += int64(by)
	for i := range p.Counts {
		p.Counts[i]++
	}
	p.ZeroCount++
	p.Value += 10
}

// Each point finds a new candidate for each of its 15 buckets.
func BenchmarkDrawAndTake(b *testing.B) {
	for _, n := range []int{1, 100, 100_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			p := latency()
			p.Time = at(0)
			table := NewTable(n, 0, defaults(Options{}))
			store := candidate.NewStore(candidate.Limits{Candidates: 1000, TTL: time.Hour})
			picks, buf := make([]Pick, 0, 64), make([]candidate.Candidate, 0, 64)
			now := at(0)
			i := n
			draw := func(after, upto int64) []candidate.Candidate {
				buf = store.Draw(now, 1, after, upto, buf[:0])
				return buf
			}
			for i := range n {
				takeNow(table, hashed(i), with(p, func(p *Point) { p.Time++ }), 1, nil, draw, nil)
			}
			number, picked := uint32(0), 0
			b.ReportAllocs()
			for b.Loop() {
				if i == n {
					b.StopTimer()
					i = 0
					now += int64(15 * time.Second)
					p.advance(15 * time.Second)
					for bucket := range p.Counts {
						number++
						c := candidate.Candidate{Trace: [16]byte{1}, End: now - int64(time.Second), Value: 0.0009 * float64(int(1)<<bucket)}
						binary.BigEndian.PutUint32(c.Span[:], number)
						store.Add(now, 1, c)
					}
					b.StartTimer()
				}
				picks, _ = takeNow(table, hashed(i), p, 1, nil, draw, picks[:0])
				picked += len(picks)
				i++
			}
			b.ReportMetric(float64(picked)/float64(b.N), "picks/op")
		})
	}
}

// BenchmarkTake chooses among candidates that are there.
func BenchmarkTake(b *testing.B) {
	exponential := Point{Kind: Exponential, Start: at(0), Scale: 3, Offset: -80, Counts: make([]uint64, 160)}
	points := []struct {
		name  string
		point Point
		found int
	}{
		{"explicit/none", latency(), 0},
		{"explicit/15", latency(), 15},
		{"explicit/120", latency(), 120},
		{"exponential/none", exponential, 0},
		{"exponential/15", exponential, 15},
		{"sum/none", Point{Kind: Sum, Start: at(0)}, 0},
		{"sum/15", Point{Kind: Sum, Start: at(0)}, 15},
	}
	for _, c := range points {
		for _, repeat := range []time.Duration{0, time.Minute} {
			b.Run(fmt.Sprintf("%s/repeat=%v", c.name, repeat > 0), func(b *testing.B) {
				table := NewTable(1, 0, defaults(Options{Repeat: repeat}))
				p := c.point
				p.Time = at(0)
				cs := make([]candidate.Candidate, c.found)
				for i := range cs {
					cs[i] = candidate.Candidate{Trace: [16]byte{1}, Span: [8]byte{byte(i)}, Value: 0.0009 * float64(int(1)<<(i%15))}
				}
				draw := func(int64, int64) []candidate.Candidate { return cs }
				picks := make([]Pick, 0, 64)
				b.ReportAllocs()
				for b.Loop() {
					p.advance(15 * time.Second)
					for i := range cs {
						cs[i].End = p.Time - int64(i)
					}
					picks, _ = takeNow(table, 1, p, 1, nil, draw, picks[:0])
				}
			})
		}
	}
}

// Each series is new, in a full table.
func BenchmarkTakeNewSeries(b *testing.B) {
	table := NewTable(10_000, 0, defaults(Options{}))
	p := latency()
	p.Time = at(10)
	draw := func(int64, int64) []candidate.Candidate { return nil }
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		takeNow(table, hashed(i), p, 1, nil, draw, nil)
	}
}

func BenchmarkTakeParallel(b *testing.B) {
	table := NewTable(10_000, 0, defaults(Options{}))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := latency()
		p.Time = at(0)
		draw := func(int64, int64) []candidate.Candidate { return nil }
		for i := 0; pb.Next(); i++ {
			if i%1000 == 0 {
				p.advance(15 * time.Second)
			}
			takeNow(table, hashed(i%1000), p, 1, nil, draw, nil)
		}
	})
}

// BenchmarkMemory tells the bytes of each series after five minutes.
func BenchmarkMemory(b *testing.B) {
	const held = 2_000
	for _, buckets := range []int{1, 15, 160} {
		for _, repeat := range []time.Duration{0, time.Minute} {
			b.Run(fmt.Sprintf("buckets=%d/repeat=%v", buckets, repeat > 0), func(b *testing.B) {
				for b.Loop() {
					p := Point{Kind: Explicit, Start: at(0), Time: at(0), Counts: make([]uint64, buckets)}
					for i := range buckets - 1 {
						p.Bounds = append(p.Bounds, float64(i+1))
					}
					var cs []candidate.Candidate
					for i := range buckets {
						cs = append(cs, candidate.Candidate{Trace: [16]byte{1}, Span: [8]byte{byte(i)}, Value: float64(i) + 0.5})
					}
					draw := func(int64, int64) []candidate.Candidate { return cs }
					var before, after runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&before)
					table := NewTable(held, 0, defaults(Options{Repeat: repeat, PerPoint: 1000}))
					for range 20 {
						p.advance(15 * time.Second)
						for i := range cs {
							cs[i].End = p.Time
						}
						var picks []Pick
						for i := range held {
							picks, _ = takeNow(table, hashed(i), p, 1, nil, draw, picks[:0])
						}
					}
					runtime.GC()
					runtime.ReadMemStats(&after)
					b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/held, "B/series")
					runtime.KeepAlive(table)
				}
			})
		}
	}
}
