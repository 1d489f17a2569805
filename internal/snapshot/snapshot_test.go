// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

type numbers map[string]int

func (n numbers) at(index uint64) snapshot.Observation[string, int] {
	return snapshot.Observation[string, int]{Continuity: snapshot.Continuity{Index: index}, Objects: n}
}

func cut(o snapshot.Observation[string, int]) snapshot.Observation[string, int] {
	o.Cut = true
	return o
}

// followed steps a tracker and describes every change.
func followed(f *snapshot.Tracker[string, int], observations ...snapshot.Observation[string, int]) (lines []string) {
	for i, o := range observations {
		gap, changes := f.Step(o, cmp.Compare[string])
		lines = append(lines, snapshottest.DescribeGap(i, gap)...)
		for _, c := range changes {
			line := fmt.Sprintf("%d: %s %d>%d", i, c.Key, c.Prev, c.Next)
			lines = append(lines, line+snapshottest.Words(map[string]bool{
				"added": c.Added, "removed": c.Removed, "initial": c.Initial, "rebased": c.Rebased, "reconciled": c.Reconciled,
			}))
		}
	}
	return lines
}

func TestTracking(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []snapshot.Observation[string, int]
		want     []string
	}{
		"the first observation is the baseline": {
			[]snapshot.Observation[string, int]{numbers{"a": 1}.at(1)},
			[]string{"0: a 0>1 added initial"},
		},
		"a first observation after a failure hides nothing": {
			[]snapshot.Observation[string, int]{snapshottest.AfterGap(numbers{"a": 1}.at(1))},
			[]string{"0: a 0>1 added initial"},
		},
		"a first observation has nothing to be rebased on": {
			[]snapshot.Observation[string, int]{snapshottest.Rebased(numbers{"a": 1}.at(1))},
			[]string{"0: a 0>1 added initial"},
		},
		"an empty baseline is one": {
			[]snapshot.Observation[string, int]{numbers{}.at(1), numbers{"a": 1}.at(2)},
			[]string{"1: a 0>1 added"},
		},
		"what comes, changes and goes, in the order of the keys": {
			[]snapshot.Observation[string, int]{numbers{}.at(1), numbers{"d": 1, "b": 1, "c": 1}.at(2), numbers{"e": 1, "a": 1, "c": 2, "d": 1}.at(3)},
			[]string{
				"1: b 0>1 added", "1: c 0>1 added", "1: d 0>1 added",
				"2: a 0>1 added", "2: b 1>0 removed", "2: c 1>2", "2: e 0>1 added",
			},
		},
		"what a gap hid is reconciled": {
			[]snapshot.Observation[string, int]{numbers{"a": 1, "b": 1}.at(1), snapshottest.AfterGap(numbers{"a": 2, "c": 1}.at(4))},
			[]string{"0: a 0>1 added initial", "0: b 0>1 added initial",
				"1: gap 1-4", "1: a 1>2 reconciled", "1: b 1>0 reconciled removed", "1: c 0>1 added reconciled"},
		},
		"a gap is reported even if it hid nothing here": {
			[]snapshot.Observation[string, int]{numbers{}.at(1), snapshottest.AfterGap(numbers{}.at(4))},
			[]string{"1: gap 1-4"},
		},
		"a gap ends with the observation after it": {
			[]snapshot.Observation[string, int]{numbers{}.at(1), snapshottest.AfterGap(numbers{}.at(4)), numbers{"a": 1}.at(5)},
			[]string{"1: gap 1-4", "2: a 0>1 added"},
		},
		"nothing was hid when the index is the same": {
			[]snapshot.Observation[string, int]{numbers{"a": 1}.at(3), snapshottest.AfterGap(numbers{"a": 1}.at(3))},
			[]string{"0: a 0>1 added initial"},
		},
		"the same index with other content is that of another server": {
			[]snapshot.Observation[string, int]{numbers{"a": 1}.at(3), snapshottest.AfterGap(numbers{"a": 2}.at(3))},
			[]string{"0: a 0>1 added initial", "1: gap 3-3", "1: a 1>2 reconciled"},
		},
		"Consul went back to a snapshot": {
			[]snapshot.Observation[string, int]{numbers{}.at(9), snapshottest.AfterGap(numbers{"a": 1}.at(2))},
			[]string{"1: gap 9-2", "1: a 0>1 added reconciled"},
		},
		"what comes and goes with the view is marked, what changes is not": {
			[]snapshot.Observation[string, int]{numbers{"a": 1, "b": 1}.at(1), snapshottest.Rebased(numbers{"b": 2, "c": 1}.at(2))},
			[]string{"0: a 0>1 added initial", "0: b 0>1 added initial",
				"1: a 1>0 rebased removed", "1: b 1>2", "1: c 0>1 added rebased"},
		},
		"what comes in where there was no room may have been there before": {
			[]snapshot.Observation[string, int]{numbers{"a": 1, "b": 1}.at(1), cut(numbers{"b": 1, "c": 1}.at(2))},
			[]string{"0: a 0>1 added initial", "0: b 0>1 added initial", "1: a 1>0 removed", "1: c 0>1 added rebased"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, followed(&snapshot.Tracker[string, int]{}, tc.observed...))
		})
	}
}

func TestTrackingAfterARestart(t *testing.T) {
	known := map[string]int{"a": 1, "b": 1}
	for name, tc := range map[string]struct {
		observed []snapshot.Observation[string, int]
		want     []string
	}{
		"there is no gap if the index is the same": {
			[]snapshot.Observation[string, int]{numbers{"a": 1, "b": 1, "c": 1}.at(5)},
			[]string{"0: c 0>1 added initial"},
		},
		"what happened while away is reconciled, and what was not known is initial": {
			[]snapshot.Observation[string, int]{numbers{"a": 2, "c": 1}.at(9), numbers{"a": 3}.at(10)},
			[]string{"0: gap 5-9", "0: a 1>2 reconciled", "0: b 1>0 reconciled removed", "0: c 0>1 added initial reconciled",
				"1: a 2>3", "1: c 1>0 removed"},
		},
		"what the token does not show any more has not gone": {
			[]snapshot.Observation[string, int]{snapshottest.Rebased(numbers{"a": 1}.at(5))},
			[]string{"0: b 1>0 rebased removed"},
		},
		"it is restored once": {
			[]snapshot.Observation[string, int]{numbers(known).at(5), numbers(known).at(6)},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var f snapshot.Tracker[string, int]
			f.Restore(known, 5)
			assert.Equal(t, uint64(5), f.Index())
			assert.Equal(t, tc.want, followed(&f, tc.observed...))
			last := tc.observed[len(tc.observed)-1]
			assert.Equal(t, last.Index, f.Index())
			assert.Equal(t, last.Objects, f.Known())
		})
	}
}

// registered steps a catalog and describes every change.
func registered(catalog *snapshot.Catalog[int], observations ...snapshot.Observation[string, int]) (lines []string) {
	for i, o := range observations {
		gap, changes := catalog.Step(o)
		lines = append(lines, snapshottest.DescribeGap(i, gap)...)
		for _, c := range changes {
			line := fmt.Sprintf("%d: %s %d>%d now %d", i, c.Key, c.Prev, c.Next, c.Now())
			lines = append(lines, line+snapshottest.Words(map[string]bool{
				"added": c.Added, "removed": c.Removed, "initial": c.Initial, "reconciled": c.Reconciled,
			}))
		}
	}
	return lines
}

func TestCatalog(t *testing.T) {
	for name, tc := range map[string]struct {
		catalog  snapshot.Catalog[int]
		observed []snapshot.Observation[string, int]
		want     []string
	}{
		"the baseline is not reported": {
			snapshot.Catalog[int]{},
			[]snapshot.Observation[string, int]{numbers{"a": 1}.at(1), numbers{"a": 2}.at(2)},
			[]string{"1: a 1>2 now 2"},
		},
		"the baseline is reported with emit initial, and only the baseline is initial": {
			snapshot.Catalog[int]{EmitInitial: true},
			[]snapshot.Observation[string, int]{numbers{"b": 1, "a": 1}.at(1), numbers{"b": 1, "c": 1}.at(2)},
			[]string{"0: a 0>1 now 1 added initial", "0: b 0>1 now 1 added initial", "1: a 1>0 now 1 removed", "1: c 0>1 now 1 added"},
		},
		"what comes and goes with the view is not reported, what changes is": {
			snapshot.Catalog[int]{EmitInitial: true},
			[]snapshot.Observation[string, int]{numbers{}.at(1), numbers{"a": 1, "b": 1}.at(2), snapshottest.Rebased(numbers{"b": 2, "c": 1}.at(3)), numbers{"b": 2}.at(4)},
			[]string{"1: a 0>1 now 1 added", "1: b 0>1 now 1 added", "2: b 1>2 now 2", "3: c 1>0 now 1 removed"},
		},
		"what a gap hid is reconciled": {
			snapshot.Catalog[int]{},
			[]snapshot.Observation[string, int]{numbers{"a": 1}.at(1), snapshottest.AfterGap(numbers{"b": 1}.at(3))},
			[]string{"1: gap 1-3", "1: a 1>0 now 1 reconciled removed", "1: b 0>1 now 1 added reconciled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, registered(&tc.catalog, tc.observed...))
			assert.Equal(t, tc.observed[len(tc.observed)-1].Objects, tc.catalog.Known())
		})
	}
}

// pairs reads pairs of bytes as key and value.
func pairs(data []byte) map[byte]byte {
	read := map[byte]byte{}
	for pair := range slices.Chunk(data, 2) {
		read[pair[0]] = pair[len(pair)-1]
	}
	return read
}

// again is an equal map that was filled in the order of the keys, or backwards.
func again(m map[byte]byte, backwards bool) map[byte]byte {
	keys := slices.Sorted(maps.Keys(m))
	if backwards {
		slices.Reverse(keys)
	}
	filled := map[byte]byte{}
	for _, key := range keys {
		filled[key] = m[key]
	}
	return filled
}

func FuzzTrackingGoesFromSnapshotToSnapshot(f *testing.F) {
	f.Add([]byte("a1b2"), []byte("b3c4"), false, false)
	f.Add([]byte(""), []byte("zz"), true, false)
	f.Add([]byte("a1b2c3d4e5f6g7h8i9"), []byte("b2a9"), false, true)
	f.Add([]byte("a1"), []byte(""), true, true)
	f.Fuzz(func(t *testing.T, a, b []byte, gap, rebase bool) {
		var forth, back snapshot.Tracker[byte, byte]
		index, have := uint64(0), map[byte]byte{}
		step := func(next map[byte]byte) int {
			index++
			o := snapshot.Observation[byte, byte]{Continuity: snapshot.Continuity{Index: index, Gap: gap, Rebased: rebase}}
			o.Objects = again(next, false)
			missed, changes := forth.Step(o, cmp.Compare[byte])
			o.Objects = again(next, true)
			missedBack, changesBack := back.Step(o, cmp.Compare[byte])
			if !assert.ObjectsAreEqual(missed, missedBack) || !slices.Equal(changes, changesBack) {
				t.Fatal("the order in which a map was filled matters")
			}
			if (missed != nil) != (gap && index > 1) {
				t.Fatalf("gap %v in step %d", missed, index)
			}
			for _, c := range changes {
				if prev, known := have[c.Key]; known == c.Added || prev != c.Prev {
					t.Fatalf("%+v is not how it was before", c)
				}
				if c.Reconciled != (missed != nil) || c.Initial != (index == 1) || c.Rebased != (rebase && index > 1 && (c.Added || c.Removed)) {
					t.Fatalf("%+v in step %d", c, index)
				}
				if c.Removed {
					delete(have, c.Key)
				} else {
					have[c.Key] = c.Next
				}
			}
			if !maps.Equal(have, next) || !maps.Equal(forth.Known(), next) {
				t.Fatalf("got %v, know %v, want %v", have, forth.Known(), next)
			}
			return len(changes)
		}
		for _, snapshot := range []map[byte]byte{pairs(a), pairs(b), pairs(a)} {
			step(snapshot)
			if step(snapshot) != 0 {
				t.Fatal("a snapshot differs from itself")
			}
		}
	})
}
