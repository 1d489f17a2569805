// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// contender is a key of a contender that was created at an index, by a session
// of the same name.
func contender(session string, created uint64) Key {
	return Key{Flags: semaphoreFlags, Session: session, CreateIndex: created, ModifyIndex: created, LockIndex: 1}
}

// coordinator is the key that coordinates a semaphore, as the Consul API writes it.
func coordinator(value string, created, modified uint64) Key {
	return Key{Flags: semaphoreFlags, CreateIndex: created, ModifyIndex: modified, Slots: readSlots([]byte(value))}
}

// assigned returns the keys with their roles.
func (k keys) assigned(prefix string) keys {
	assignRoles(prefix, k)
	return k
}

func TestSlots(t *testing.T) {
	for value, want := range map[string]Slots{
		`{"Limit":2,"Holders":{"s":true,"r":true}}`: {Limit: 2, Holders: "r s "},
		`{"Limit":3,"Holders":{}}`:                  {Limit: 3},
		`{"Limit":3,"Holders":null}`:                {Limit: 3},
		`a secret`:                                  {},
		`["a secret"]`:                              {},
		``:                                          {},
	} {
		assert.Equal(t, want, readSlots([]byte(value)), value)
	}
	slots := readSlots([]byte(`{"Holders":{"ab":true,"cd":true}}`))
	assert.True(t, slots.has("ab") && slots.has("cd"))
	assert.False(t, slots.has("a") || slots.has("b") || slots.has("d"))
}

func TestRoles(t *testing.T) {
	keys := keys{
		"sem/jobs/.lock": coordinator(`{"Limit":2,"Holders":{"s":true,"dead":true}}`, 1, 2),
		"sem/jobs/s":     contender("s", 1),
		"sem/jobs/r":     contender("r", 1),
		"sem/jobs/given": {Flags: semaphoreFlags, CreateIndex: 1},
		"sem/jobs/job":   contender("other", 1),
		"sem/jobs/sub/s": contender("s", 1),
		"lock/.lock":     {Flags: 0x2ddccbc058a50c18, Session: "s", LockIndex: 1},
		"mine/.lock":     contender("s", 1),
	}.assigned("")
	roles := map[string]Role{}
	for name, key := range keys {
		roles[name] = key.Role
	}
	assert.Equal(t, map[string]Role{
		"sem/jobs/.lock": Coordinator,
		"sem/jobs/s":     Holder,
		"sem/jobs/r":     Waiter,
		"sem/jobs/given": NoRole, // Its session has ended.
		"sem/jobs/job":   NoRole,
		"sem/jobs/sub/s": Waiter, // No contender has a slot before there is a coordinating key.
		"lock/.lock":     NoRole, // of `consul lock` without -n
		"mine/.lock":     NoRole,
	}, roles)
	assert.Equal(t, []Semaphore{{Prefix: "sem/jobs", Limit: 2, Holders: 1, Waiters: 1}}, semaphores(keys))
}

func TestAContenderWhoseCoordinatingKeyIsOutsideThePrefixNeitherHoldsNorWaits(t *testing.T) {
	with := keys{"sem/jobs/s": contender("s", 2)}.assigned("sem/jobs/s")
	assert.Equal(t, Contender, with["sem/jobs/s"].Role)
	var k Keys
	assert.Equal(t, []string{"1: sem/jobs/s created", "2: sem/jobs/s deleted"}, keyed(&k, 0, keys{}.at(1), with.at(2), keys{}.at(3)))
	assert.Zero(t, k.Acquisitions())
}

func TestSemaphores(t *testing.T) {
	const none, one, both = `{"Limit":2,"Holders":{}}`, `{"Limit":2,"Holders":{"r":true}}`, `{"Limit":2,"Holders":{"r":true,"s":true}}`
	held := func() keys {
		return keys{"p/.lock": coordinator(both, 3, 5), "p/r": contender("r", 2), "p/s": contender("s", 4)}
	}
	waiting := func(value string, modified uint64) keys {
		keys := held()
		keys["p/.lock"] = coordinator(value, 3, modified)
		keys["p/t"] = contender("t", 6)
		return keys
	}
	without := func(keys keys, name string) keys {
		delete(keys, name)
		return keys
	}
	for name, tc := range map[string]struct {
		saw          []look
		want         []string
		acquisitions int64
	}{
		"a contender waits until it has a slot": {
			[]look{
				keys{}.at(1), keys{"p/s": contender("s", 2)}.at(2), keys{"p/s": contender("s", 2), "p/.lock": coordinator(none, 3, 3)}.at(3),
				keys{"p/s": contender("s", 2), "p/.lock": coordinator(both, 3, 4)}.at(4),
			},
			[]string{
				"1: p/s created", "1: p/s#2.1 queued by s", "2: p/.lock created",
				"3: p/.lock updated", "3: p/s#2.1 waited for by s for 2s", "3: p/s#2.1 acquired by s",
			}, 1,
		},
		"one that has its slot at once waited, too": {
			[]look{keys{}.at(1), keys{"p/s": contender("s", 2), "p/.lock": coordinator(both, 3, 3)}.at(3)},
			[]string{"1: p/.lock created", "1: p/s created", "1: p/s#2.1 queued by s", "1: p/s#2.1 waited for by s for 0s", "1: p/s#2.1 acquired by s"}, 1,
		},
		"the baseline has holds and waits that began before": {
			[]look{waiting(both, 5).at(6), waiting(`{"Limit":2,"Holders":{"r":true,"t":true}}`, 7).at(7).alive(1, "r", "s", "t")},
			[]string{
				"1: p/.lock updated", "1: p/s#4.1 released by s after 1s before",
				"1: p/t#6.1 waited for by t for 1s before", "1: p/t#6.1 acquired by t",
			}, 1,
		},
		"a holder that left its slot has released it, whatever became of its key and session": {
			[]look{held().at(5), keys{"p/.lock": coordinator(one, 3, 6), "p/r": contender("r", 2)}.at(7).alive(8, "r").deleting("p/s", 7)},
			[]string{"1: p/.lock updated", "1: p/s#4.1 released by s after 1s before", "1: p/s deleted"}, 0,
		},
		"a holder that has left its slot does not wait until its key is deleted": {
			[]look{
				held().at(5), without(waiting(one, 6), "p/t").at(6).alive(1, "r", "s"),
				keys{"p/.lock": coordinator(one, 3, 6), "p/r": contender("r", 2)}.at(7),
			},
			[]string{"1: p/.lock updated", "1: p/s#4.1 released by s after 1s before", "2: p/s deleted"}, 0,
		},
		"a holder whose session ended is invalidated, and holds no slot": {
			[]look{held().at(5), without(held(), "p/s").at(6).alive(6, "r").deleting("p/s", 6), without(held(), "p/s").at(6)},
			[]string{"1: p/s#4.1 invalidated by s after 1s before", "1: p/s deleted"}, 0,
		},
		"a holder whose key was deleted while its session lives": {
			[]look{held().at(5), without(held(), "p/s").at(6).alive(1, "r", "s").deleting("p/s", 6)},
			[]string{"1: p/s#4.1 deleted by s after 1s before", "1: p/s deleted"}, 0,
		},
		"a holder that is gone and was removed by others ended in a way that is not known": {
			[]look{held().at(5), keys{"p/.lock": coordinator(one, 3, 7), "p/r": contender("r", 2)}.at(7).alive(6, "r").deleting("p/s", 6)},
			[]string{"1: p/.lock updated", "1: p/s#4.1 unknown by s after 1s before", "1: p/s deleted"}, 0,
		},
		"slots are gone with the coordinating key": {
			[]look{held().at(5), without(held(), "p/.lock").at(6).alive(1, "r", "s")},
			[]string{
				"1: p/.lock deleted", "1: p/r#2.1 unknown by r after 1s before", "1: p/s#4.1 unknown by s after 1s before",
			}, 0,
		},
		"a waiter whose session ends abandons": {
			[]look{held().at(5), waiting(both, 5).at(6), held().at(7).alive(7, "r", "s").deleting("p/t", 7)},
			[]string{"1: p/t created", "1: p/t#6.1 queued by t", "2: p/t#6.1 abandoned by t after 1s, invalidated", "2: p/t deleted"}, 0,
		},
		"a waiter that is gone may have had a slot that came free": {
			[]look{held().at(5), waiting(both, 5).at(6), keys{"p/.lock": coordinator(one, 3, 8), "p/r": contender("r", 2)}.at(10).alive(10, "r").deleting("p/t", 10).deleting("p/s", 9)},
			[]string{
				"1: p/t created", "1: p/t#6.1 queued by t", "2: p/.lock updated", "2: p/s#4.1 released by s after 2s before", "2: p/s deleted",
				"2: p/t#6.1 abandoned by t after 1s, unknown", "2: p/t deleted",
			}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			for _, l := range tc.saw {
				assignRoles("p/", l.Objects)
			}
			assert.Equal(t, tc.want, keyed(&k, 0, tc.saw...))
			assert.Equal(t, tc.acquisitions, k.Acquisitions())
		})
	}
}

func TestWaitsAndHoldsOfASemaphoreAfterARestart(t *testing.T) {
	now := keys{
		"p/.lock": coordinator(`{"Limit":1,"Holders":{"s":true}}`, 3, 3), "p/s": contender("s", 2), "p/t": contender("t", 4),
	}.assigned("p/")
	var old Keys
	keyed(&old, 0, keys{}.at(1), now.at(4))
	next := keys{"p/.lock": coordinator(`{"Limit":1,"Holders":{"t":true}}`, 3, 8), "p/t": contender("t", 4)}.assigned("p/")
	assert.Equal(t, []string{
		"11: p/.lock updated", "11: p/s#2.1 unknown by s after 10s", "11: p/s deleted",
		"11: p/t#4.1 waited for by t for 10s", "11: p/t#4.1 acquired by t",
	}, keyed(keysRestarted(t, &old), 10, now.at(4), next.at(8)))
}
