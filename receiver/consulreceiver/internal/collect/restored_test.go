// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// A snapshot that is restored brings back lower indexes. When writes follow at
// once, the index of the next answer may be higher than before.
func TestARestoredSnapshotThatWritesHaveOvertaken(t *testing.T) {
	type objects = map[string]uint64 // by name, with the index at which each was modified
	for name, tc := range map[string]struct {
		next     objects
		index    uint64
		filtered bool
		gap      bool
	}{
		"nothing was restored":                             {objects{"a": 4, "b": 9, "new": 11}, 11, false, false},
		"an object is gone":                                {objects{"a": 4}, 11, false, false},
		"an object is older than it was":                   {objects{"a": 4, "b": 7, "new": 11}, 11, false, true},
		"an object appears that was modified before":       {objects{"a": 4, "b": 9, "old": 8, "new": 11}, 11, false, true},
		"an object appears that the token may have hidden": {objects{"a": 4, "b": 9, "old": 8}, 11, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			env := collect.NewEnv(&collect.Shared{Condition: condition.NewReporter(receivertest.NewNopSettings(metadata.Type).Logger)}, nil, "dc1")
			w := collect.Watch[string, uint64, struct{}]{
				Env: env, Endpoint: "kv/", Compare: cmp.Compare[string], Limit: collect.Limit{Max: 10},
				IndexOf: func(index uint64) uint64 { return index },
			}
			w.Observe(collect.Result[string, uint64]{Meta: consulapi.Meta{Index: 9}, Objects: objects{"a": 4, "b": 9}})
			observed := w.Observe(collect.Result[string, uint64]{Meta: consulapi.Meta{Index: tc.index, Filtered: tc.filtered}, Objects: tc.next})
			assert.Equal(t, tc.gap, observed.Gap)
			assert.Equal(t, tc.gap, observed.Restored)
		})
	}
}
