// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

func responseAt(revision int64, key string) etcdapi.Response {
	change := etcdapi.Change{Key: etcdapi.Key{Name: key, Modified: revision}}
	return etcdapi.Response{Revision: revision, Changes: slices.Values([]etcdapi.Change{change}), Count: 1}
}

// The queue counts changes; what has none must not make it grow either.
func TestExcludedChangesDoNotFillMemory(t *testing.T) {
	names, err := pattern.Filter{Exclude: []string{"/app/busy/.*"}}.Compile()
	require.NoError(t, err)
	own, err := collect.NewTelemetry(receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	s := &stream{
		telemetry: own, filter: filter{names: names},
		limit: 2, ready: make(chan struct{}, 1),
	}
	require.NoError(t, s.add(etcdapi.Response{Revision: 1, Opened: true}))
	for revision := range int64(1000) {
		require.NoError(t, s.add(responseAt(revision+2, "/app/busy/a")))
	}
	assert.Len(t, s.queue, 2)
	require.NoError(t, s.add(responseAt(2000, "/app/a")))
	require.NoError(t, s.add(responseAt(2001, "/app/busy/a")))
	opened, err := s.take(t.Context(), 0, nil)
	require.NoError(t, err)
	assert.True(t, opened.opened)
	all, err := s.take(t.Context(), 0, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 2001, all.revision, "what was left out was read, too")
	assert.Len(t, all.changes, 1)
}
