// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	limits  = map[string]RateLimit{"a": {Path: "kv/", PerSecond: 2}, "b": {}}
	process = time.Unix(1_000_000, 0).UTC()
)

func counted(since time.Time, counts map[string]int64) Quotas {
	return Quotas{}.Take(limits, Refusals{Since: since, Counts: counts}, true)
}

func TestRefusals(t *testing.T) {
	later := process.Add(time.Hour)
	before := counted(process, map[string]int64{"a": 10})
	for name, tc := range map[string]struct {
		before, after Quotas
		want          []Exceeded
	}{
		"nothing happens":                          {before, before, nil},
		"two quotas refuse":                        {before, counted(process, map[string]int64{"b": 1, "a": 13}), []Exceeded{{"a", "kv/", 3}, {"b", "", 1}}},
		"what was refused before it was asked":     {Quotas{Limits: limits, Old: true}, before, nil},
		"vault was restarted":                      {before, counted(later, map[string]int64{"a": 11}), []Exceeded{{"a", "kv/", 11}}},
		"vault was restarted, nothing was refused": {before, counted(later, nil), nil},
		"vault has forgotten, and counts again":    {before, counted(process, map[string]int64{"a": 4}), []Exceeded{{"a", "kv/", 4}}},
		"a quota that was deleted":                 {before, before.Take(nil, Refusals{Since: process, Counts: map[string]int64{"a": 12}}, true), []Exceeded{{"a", "kv/", 2}}},
		"a quota that nobody knows":                {before, counted(process, map[string]int64{"a": 10, "z": 12}), nil},
		"a quota that is made anew": {
			Quotas{}.Take(nil, Refusals{Since: process, Counts: map[string]int64{"a": 10}}, true),
			counted(process, map[string]int64{"a": 12}), []Exceeded{{"a", "kv/", 2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, tc.before.Compare(tc.after))
		})
	}
}

func TestRefusalsThatCannotBeAskedForAreThoseBefore(t *testing.T) {
	before := counted(process, map[string]int64{"a": 10})
	old := before.Take(limits, Refusals{}, false)
	assert.True(t, old.Old)
	assert.Empty(t, before.Compare(old))
	after := old.Take(limits, Refusals{Since: process, Counts: map[string]int64{"a": 15}}, true)
	assert.False(t, after.Old)
	assert.Equal(t, []Exceeded{{"a", "kv/", 5}}, old.Compare(after))
}

// Vault forgets a counter that rests, and then counts from 0 again.
func TestWhatVaultHasForgottenIsRemembered(t *testing.T) {
	known := Quotas{}
	for _, step := range []struct {
		counts       map[string]int64
		total, since int64
	}{
		{map[string]int64{"a": 100}, 100, 0},
		{map[string]int64{"a": 100}, 100, 0},
		{nil, 100, 0},
		{map[string]int64{"a": 1}, 101, 1},
		{map[string]int64{"a": 3}, 103, 2},
		{nil, 103, 0},
		{nil, 103, 0},
		{map[string]int64{"a": 30}, 133, 30},
		{map[string]int64{"a": 2}, 135, 2}, // It was forgotten unseen.
	} {
		before := known
		known = known.Take(limits, Refusals{Since: process, Counts: step.counts}, true)
		require.Equal(t, step.total, known.Refusals.Total("a"))
		var want []Exceeded
		if step.since > 0 {
			want = []Exceeded{{"a", "kv/", step.since}}
		}
		require.Equal(t, want, before.Compare(known))
	}
	other := known.Take(limits, Refusals{Since: process.Add(1)}, true)
	assert.Zero(t, other.Refusals.Total("a"), "another process counts anew")
}

func TestRefusalsOfManyQuotas(t *testing.T) {
	counts := map[string]int64{}
	for i := range maxCounts + 10 {
		counts[fmt.Sprintf("q%05d", i)] = 1
	}
	taken := counted(process, counts)
	assert.Len(t, taken.Refusals.Counts, maxCounts)
	assert.Contains(t, Quotas{}.Take(map[string]RateLimit{"q01005": {}}, Refusals{Since: process, Counts: counts}, true).Refusals.Counts, "q01005")
	assert.NotContains(t, taken.Refusals.Counts, fmt.Sprintf("q%05d", maxCounts))
	again := taken.Take(limits, Refusals{Since: process, Counts: map[string]int64{"zz": 1}}, true)
	assert.Len(t, again.Refusals.Counts, 1)
	assert.Len(t, again.Refusals.Forgotten, maxCounts)
	more := again.Take(map[string]RateLimit{"zz": {}}, Refusals{Since: process}, true)
	assert.Len(t, more.Refusals.Forgotten, maxCounts)
	assert.EqualValues(t, 1, more.Refusals.Total("zz"), "what there is goes before what has gone")
}

// Whether they were ever asked for survives a restart, too.
func TestQuotasAreStored(t *testing.T) {
	for _, q := range []Quotas{
		{Limits: limits, Old: true}, counted(process, nil), counted(process, map[string]int64{"a": 10}),
		counted(process, map[string]int64{"a": 10}).Take(limits, Refusals{Since: process}, true),
	} {
		stored, err := json.Marshal(q)
		require.NoError(t, err)
		var restored Quotas
		require.NoError(t, json.Unmarshal(stored, &restored))
		assert.Equal(t, q, restored)
	}
}

func FuzzRefusals(f *testing.F) {
	f.Add(int64(1), int64(2), true, true)
	f.Fuzz(func(t *testing.T, first, second int64, same, asked bool) {
		if first < 0 || second < 0 {
			t.Skip("a counter is not negative")
		}
		since := process
		if !same {
			since = since.Add(time.Second)
		}
		before := counted(process, map[string]int64{"a": first})
		after := before.Take(limits, Refusals{Since: since, Counts: map[string]int64{"a": second}}, asked)
		if same {
			assert.GreaterOrEqual(t, after.Refusals.Total("a"), before.Refusals.Total("a"))
		}
		told := before.Compare(after)
		for _, e := range told {
			assert.Positive(t, e.Refused)
			assert.LessOrEqual(t, e.Refused, second)
		}
		if !asked {
			assert.Empty(t, told)
		}
	})
}
