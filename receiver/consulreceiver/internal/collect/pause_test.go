// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func TestThePauseGrowsWithTheAnswerAndWhileNothingChanges(t *testing.T) {
	settings := receivertest.NewNopSettings(metadata.Type)
	base, err := watch.NewBase(settings)
	require.NoError(t, err)
	env := collect.NewEnv(&collect.Shared{Settings: settings, Condition: base.Condition}, nil, "dc1")
	w := collect.Watch[string, int, struct{}]{Env: env, Compare: cmp.Compare[string], Limit: collect.Limit{Max: 10}, MinPause: 10 * time.Millisecond}
	index := uint64(0)
	pause := func(read int, objects map[string]int) time.Duration {
		index++
		pause, burst := w.Pause(collect.Result[string, int]{Meta: consulapi.Meta{Index: index}, Objects: objects, Read: read})
		assert.Equal(t, pause <= 10*time.Millisecond, burst > 2, "only small answers follow each other at once")
		return pause
	}
	assert.Equal(t, 10*time.Millisecond, pause(1, map[string]int{"a": 1}))
	assert.Equal(t, 10*time.Millisecond, pause(1, map[string]int{"a": 2}))
	for _, want := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1000, 1000} {
		assert.Equal(t, want*time.Millisecond, pause(1, map[string]int{"a": 2}))
	}
	assert.Equal(t, 10*time.Millisecond, pause(1, map[string]int{"a": 3}))
	assert.Equal(t, 500*time.Millisecond, pause(5000, map[string]int{"a": 4}))
	assert.Equal(t, 5*time.Second, pause(50_000, map[string]int{"a": 4}))
	large := func(read int, bytes int64) time.Duration {
		index++
		pause, _ := w.Pause(collect.Result[string, int]{Meta: consulapi.Meta{Index: index, Bytes: bytes}, Objects: map[string]int{"a": int(bytes) + read}, Read: read})
		return pause
	}
	assert.Equal(t, 700*time.Millisecond, large(10, 7_000_000))
	assert.Equal(t, 5*time.Second, large(50_000, 7_000_000))
}
