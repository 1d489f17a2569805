// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// What version 0.2.0 saved of a hold that lasts.
const savedByOlderVersion = `{"Index":4,"Holds":[{"ID":{"Key":"locks/a","CreateIndex":3,"LockIndex":1},"Session":"s1","Flags":0,"BeganBefore":false,"Reconciled":false,"Start":"1970-01-01T00:00:10Z","End":"0001-01-01T00:00:00Z","How":""}]}`

func TestAHoldOfAnOlderVersionGoesOn(t *testing.T) {
	var saved SavedHolds
	require.NoError(t, json.Unmarshal([]byte(savedByOlderVersion), &saved))
	var k Keys
	k.Restore(saved)
	_, effects := k.Step(snapshottest.At(15), keys{"locks/a": free(3, 4, 1).heldBy("s1")}.at(4).Observation, Evidence{})
	require.Empty(t, effects, "it lasts")
	_, effects = k.Step(snapshottest.At(20), keys{"locks/a": free(3, 5, 1)}.at(5).Observation, Evidence{
		Sessions: map[string]SessionState{"s1": {Alive: true, Index: 1}},
	})
	require.NotEmpty(t, effects)
	ended, ok := effects[0].(Ended)
	require.True(t, ok, "%v", effects)
	assert.Equal(t, Released, ended.How)
	assert.Equal(t, 10*time.Second, ended.End.Sub(ended.Start))
}
