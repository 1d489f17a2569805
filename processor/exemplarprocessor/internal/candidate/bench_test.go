// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package candidate

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// hashed makes keys like hashes.
func hashed(i int) uint64 {
	h := uint64(i+1) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// BenchmarkAdd/skipped adds what is like others that are there, as nearly all
// spans are. BenchmarkAdd/kept adds what is newer than all others by enough.
func BenchmarkAdd(b *testing.B) {
	for _, keys := range []int{1, 100, 100_000} {
		for _, step := range []struct {
			name string
			by   int64
		}{{"skipped", 0}, {"kept", second}} {
			b.Run(fmt.Sprintf("%s/keys=%d", step.name, keys), func(b *testing.B) {
				s := NewStore(Limits{Candidates: 2_000_000, TTL: ttl})
				ids := make([]uint64, keys)
				for i := range ids {
					ids[i] = hashed(i)
					for _, c := range alike(depth, 0) {
						s.Add(epoch, ids[i], c)
					}
				}
				b.ReportAllocs()
				now, i := int64(0), 0
				c := span(1, 0, 0.1)
				for b.Loop() {
					if i++; i == keys {
						i = 0
						now += step.by
					}
					c.End = epoch + now
					s.Add(epoch+now, ids[i], c)
				}
			})
		}
	}
}

func BenchmarkAddParallel(b *testing.B) {
	s := NewStore(Limits{Candidates: 100_000, TTL: ttl})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c := span(1, 0, 0.1)
		for i := 0; pb.Next(); i++ {
			c.End += 1000
			s.Add(c.End, hashed(i%1000), c)
		}
	})
}

// The store is full, and each span is the first of its key.
func BenchmarkAddNewKeys(b *testing.B) {
	s := NewStore(Limits{Candidates: 100_000, TTL: ttl})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(epoch, hashed(i), span(uint32(i), 0, 0.1))
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, classes := range []int{1, 10, 40} {
		b.Run(fmt.Sprintf("classes=%d", classes), func(b *testing.B) {
			s := NewStore(Limits{Candidates: 100_000, TTL: ttl})
			for class := range classes {
				for i := range int64(depth) {
					s.Add(epoch, 1, span(uint32(i), i*second, 0.001*float64(int(1)<<(class/4))*(1+float64(class%4)/4)))
				}
			}
			buf := make([]Candidate, 0, depth*classes)
			b.ReportAllocs()
			for b.Loop() {
				buf = s.Draw(epoch, 1, 0, epoch+60*second, buf[:0])
			}
		})
	}
}

func BenchmarkExpire(b *testing.B) {
	s := NewStore(Limits{Candidates: 100_000, TTL: ttl})
	for i := range 100_000 {
		s.Add(epoch, hashed(i/depth), span(uint32(i), 0, 0.1))
	}
	for b.Loop() {
		s.Expire(epoch)
	}
}

// BenchmarkMemory tells the bytes of each candidate that is held.
func BenchmarkMemory(b *testing.B) {
	for _, perKey := range []int{1, depth, 20 * depth} {
		b.Run(fmt.Sprintf("per_key=%d", perKey), func(b *testing.B) {
			const held = 100_000
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				s := NewStore(Limits{Candidates: held, TTL: time.Hour})
				for i := range held {
					s.Add(epoch, hashed(i/perKey), span(uint32(i), 0, float64(int(1)<<(i%perKey/depth))))
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/held, "B/candidate")
				runtime.KeepAlive(s)
			}
		})
	}
}
