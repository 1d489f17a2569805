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
		gap, effects := k.Step(s.Now, o, Evidence{Sessions: map[string]SessionState{"s1": {Alive: true}, "s2": {Alive: i < 4, Index: 7}}})
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
		gap, effects := k.Step(s.Now, o, Evidence{})
		collecttest.Step(s, gap, effects, Render)
	}
	s.RequireGolden(t, "a key is created, updated and deleted")
}

func TestASemaphoreWithWaitersAndHolders(t *testing.T) {
	s := collecttest.NewScenario(metadata.DefaultLogsBuilderConfig())
	contender := func(session string, created uint64) Key {
		return Key{Flags: consulapi.SemaphoreFlags, Session: session, LockIndex: 1, CreateIndex: created, ModifyIndex: created}
	}
	lock := func(holders string, modified uint64) Key {
		return Key{Flags: consulapi.SemaphoreFlags, CreateIndex: 3, ModifyIndex: modified, Slots: Slots{Limit: 1, Holders: holders}}
	}
	k := Keys{}
	for i, step := range []struct {
		keys     map[string]Key
		evidence Evidence
	}{
		{keys: map[string]Key{}},
		{keys: map[string]Key{"jobs/s1": contender("s1", 2), "jobs/.lock": lock("s1 ", 3)}},
		{keys: map[string]Key{"jobs/s1": contender("s1", 2), "jobs/s2": contender("s2", 4), "jobs/s3": contender("s3", 5), "jobs/.lock": lock("s1 ", 3)}},
		{
			keys:     map[string]Key{"jobs/s1": contender("s1", 2), "jobs/s2": contender("s2", 4), "jobs/.lock": lock("s1 ", 3)},
			evidence: Evidence{Sessions: map[string]SessionState{"s3": {Index: 6}}, DeletedAt: map[string]uint64{"jobs/s3": 6}},
		},
		{
			keys:     map[string]Key{"jobs/s1": contender("s1", 2), "jobs/s2": contender("s2", 4), "jobs/.lock": lock("", 7)},
			evidence: Evidence{Sessions: map[string]SessionState{"s1": {Alive: true}}},
		},
		{keys: map[string]Key{"jobs/s2": contender("s2", 4), "jobs/.lock": lock("s2 ", 8)}},
		{
			keys:     map[string]Key{"jobs/.lock": lock("s2 ", 8)},
			evidence: Evidence{Sessions: map[string]SessionState{"s2": {Index: 9}}, DeletedAt: map[string]uint64{"jobs/s2": 9}},
		},
	} {
		assignRoles("jobs/", step.keys)
		o := snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: uint64(i + 3)}, Objects: step.keys}
		gap, effects := k.Step(s.Now, o, step.evidence)
		collecttest.Step(s, gap, effects, Render)
	}
	s.RequireGolden(t, "contenders wait for a semaphore, have a slot, release and lose it")
}
