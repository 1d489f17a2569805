// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
)

// A response of 1,000 changes of 1,000 keys, beside a bare loop that only keeps
// the newest revision of each key.
func BenchmarkFollow(b *testing.B) {
	const n = 1000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("/app/key-", i)
	}
	changes := func(from int64) []key.Change {
		made := make([]key.Change, n)
		for i := range made {
			revision := from + int64(i)
			made[i] = key.Change{Key: key.Key{Name: names[i], Created: int64(i) + 2, Modified: revision, Version: revision / n}}
		}
		return made
	}
	b.Run("step", func(b *testing.B) {
		b.ReportAllocs()
		m := NewMachine(Prefixes{Watch: []string{"/app/"}}, Limits{2 * n, n}, true)
		m.Step(time.Unix(0, 0), Observation{Prefix: "/app/", Revision: 1, Listed: true})
		for revision := int64(2); b.Loop(); revision += n {
			o := Observation{Prefix: "/app/", Revision: revision + n - 1, Changes: changes(revision)}
			if effects := m.Step(time.Unix(revision, 0), o); len(effects) < n {
				b.Fatalf("%d effects, want at least %d", len(effects), n)
			}
		}
	})
	b.Run("bare loop", func(b *testing.B) {
		b.ReportAllocs()
		newest := map[string]int64{}
		for revision := int64(2); b.Loop(); revision += n {
			for _, c := range changes(revision) {
				newest[c.Key.Name] = c.Key.Modified
			}
		}
		if len(newest) != n {
			b.Fatalf("%d keys, want %d", len(newest), n)
		}
	})
}
