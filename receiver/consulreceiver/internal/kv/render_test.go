// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func TestHoldsOfALock(t *testing.T) {
	s := collecttest.NewScenario(metadata.DefaultLogsBuilderConfig())
	var k Keys
	for i, key := range []Key{
		{CreateIndex: 3, ModifyIndex: 3, Flags: consulapi.LockFlags},
		{CreateIndex: 3, ModifyIndex: 4, Flags: consulapi.LockFlags, LockIndex: 1, Session: "s1"},
		{CreateIndex: 3, ModifyIndex: 5, Flags: consulapi.LockFlags, LockIndex: 1},
		{CreateIndex: 3, ModifyIndex: 6, Flags: consulapi.LockFlags, LockIndex: 2, Session: "s2"},
		{CreateIndex: 3, ModifyIndex: 7, Flags: consulapi.LockFlags, LockIndex: 2},
	} {
		o := snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: key.ModifyIndex}, Objects: map[string]Key{"jobs/nightly": key}}
		alive := map[string]bool{"s1": true, "s2": i < 4}
		gap, effects := k.Step(s.Now, o, Sessions{Known: true, Alive: alive, Index: 7})
		collecttest.Step(s, gap, effects, Render)
	}
	s.RequireGolden(t, "a lock is held, released, held by another and invalidated")
}

func TestKeysComeAndGo(t *testing.T) {
	s := collecttest.NewScenario(metadata.DefaultLogsBuilderConfig())
	var k Keys
	key := Key{CreateIndex: 3, ModifyIndex: 3, Value: Fingerprint{SHA256: "ab", Size: 2}}
	for i, keys := range []map[string]Key{{}, {"rate": key}, {"rate": {CreateIndex: 3, ModifyIndex: 4}}, {}} {
		o := snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: uint64(i)}, Objects: keys}
		gap, effects := k.Step(s.Now, o, Sessions{})
		collecttest.Step(s, gap, effects, Render)
	}
	s.RequireGolden(t, "a key is created, updated and deleted")
}
