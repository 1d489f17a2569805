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
		"a quota that was deleted":                 {before, before.Take(nil, Refusals{process, map[string]int64{"a": 12}}, true), []Exceeded{{"a", "kv/", 2}}},
		"a quota that nobody knows":                {before, counted(process, map[string]int64{"a": 10, "z": 12}), nil},
		"a quota that is made anew": {
			Quotas{}.Take(nil, Refusals{process, map[string]int64{"a": 10}}, true),
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
	after := old.Take(limits, Refusals{process, map[string]int64{"a": 15}}, true)
	assert.False(t, after.Old)
	assert.Equal(t, []Exceeded{{"a", "kv/", 5}}, old.Compare(after))
}

func TestWhatVaultHasForgottenIsRemembered(t *testing.T) {
	before := counted(process, map[string]int64{"a": 10})
	forgotten := before.Take(limits, Refusals{Since: process}, true)
	assert.Equal(t, int64(10), forgotten.Refusals.Counts["a"])
	again := forgotten.Take(limits, Refusals{process, map[string]int64{"a": 1}}, true)
	assert.Equal(t, []Exceeded{{"a", "kv/", 1}}, forgotten.Compare(again))
	assert.Empty(t, forgotten.Take(limits, Refusals{Since: process.Add(1)}, true).Refusals.Counts)
}

func TestRefusalsOfManyQuotas(t *testing.T) {
	counts := map[string]int64{}
	for i := range maxCounts + 10 {
		counts[fmt.Sprintf("q%05d", i)] = 1
	}
	taken := counted(process, counts)
	assert.Len(t, taken.Refusals.Counts, maxCounts)
	assert.Contains(t, Quotas{}.Take(map[string]RateLimit{"q01005": {}}, Refusals{process, counts}, true).Refusals.Counts, "q01005")
	assert.NotContains(t, taken.Refusals.Counts, fmt.Sprintf("q%05d", maxCounts))
	again := taken.Take(limits, Refusals{process, map[string]int64{"zz": 1}}, true)
	assert.Len(t, again.Refusals.Counts, maxCounts)
	assert.Contains(t, again.Refusals.Counts, "zz", "what is counted goes before what is remembered")
}

// Whether they were ever asked for survives a restart, too.
func TestQuotasAreStored(t *testing.T) {
	for _, q := range []Quotas{{Limits: limits, Old: true}, counted(process, nil), counted(process, map[string]int64{"a": 10})} {
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
		after := before.Take(limits, Refusals{since, map[string]int64{"a": second}}, asked)
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
