// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestInstances(t *testing.T) {
	s, err := Compile([]Config{{Metrics: []string{"m"}, Join: []JoinConfig{{Metric: serviceName}, {Metric: serviceInstanceID, Optional: true}}}})
	require.NoError(t, err)
	r, none := s.Metric("m"), attrs(t, nil)
	spans := func(raw map[string]any) (keys []uint64) {
		resource, scratch := attrs(t, raw), new(Scratch)
		s.Begin(resource, scratch, false)
		s.Spans(resource, made(t, ptrace.SpanKindServer, nil), scratch, func(f Found) { keys = append(keys, f.Keys...) }, func(_ *Rule, r Refusal) { t.Error(r) })
		return keys
	}
	point := func(raw map[string]any) uint64 {
		resource := attrs(t, raw)
		key, ok := keyOf(r, r.Instance(resource), resource, none)
		require.True(t, ok)
		return key
	}
	a, b := map[string]any{"service.name": "shop", "service.instance.id": "a"}, map[string]any{"service.name": "shop", "service.instance.id": "b"}
	nameless := map[string]any{"service.name": "shop"}

	assert.Contains(t, spans(nameless), point(a), "no spans said yet of which instance they are")
	ofA, ofB := spans(a), spans(b)
	assert.Contains(t, ofA, point(a))
	assert.NotContains(t, ofB, point(a))
	assert.Contains(t, ofB, point(b))
	for _, raw := range []map[string]any{nameless, {"service.name": "shop", "service.instance.id": "10.0.0.1:8080"}} {
		assert.Contains(t, ofA, point(raw))
		assert.Contains(t, ofB, point(raw))
	}
	assert.Len(t, spans(nameless), 1, "it is of no instance")
	assert.NotContains(t, spans(nameless), point(a))
}
