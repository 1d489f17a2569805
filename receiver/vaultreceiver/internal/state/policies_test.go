// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// policies returns those of which the rules are given, read as far as the limit goes.
func policies(limit int, rules map[string]string) Policies {
	p := ListedPolicies(slices.Collect(maps.Keys(rules)), limit)
	for _, name := range p.Followed() {
		if rules[name] != "denied" {
			p.Read(name, rules[name])
		}
	}
	return p
}

func TestWhatHappensToPolicies(t *testing.T) {
	type rules = map[string]string
	for name, c := range map[string]struct {
		before, after rules
		limit         int
		want          []PolicyChange
	}{
		"nothing":        {rules{"a": "1"}, rules{"a": "1"}, 9, nil},
		"one is created": {rules{"b": "1"}, rules{"a": "1", "b": "1"}, 9, []PolicyChange{{PolicyCreated, "a"}}},
		"one is changed": {rules{"a": "1"}, rules{"a": "2"}, 9, []PolicyChange{{PolicyChanged, "a"}}},
		"one is emptied": {rules{"a": "1"}, rules{"a": ""}, 9, []PolicyChange{{PolicyChanged, "a"}}},
		"one is deleted": {rules{"a": "1", "b": "1"}, rules{"b": "1"}, 9, []PolicyChange{{PolicyDeleted, "a"}}},
		"in the order of the names": {rules{"c": "1", "d": "1"}, rules{"b": "1", "d": "2", "a": "1"}, 9, []PolicyChange{
			{PolicyCreated, "a"}, {PolicyCreated, "b"}, {PolicyDeleted, "c"}, {PolicyChanged, "d"},
		}},
		"one may not be read":             {rules{"a": "1", "b": "1"}, rules{"a": "denied", "b": "2"}, 9, []PolicyChange{{PolicyChanged, "b"}}},
		"one may be read now":             {rules{"a": "denied"}, rules{"a": "1"}, 9, nil},
		"one that may not be read, comes": {rules{"b": "1"}, rules{"a": "denied", "b": "1"}, 9, []PolicyChange{{PolicyCreated, "a"}}},
		"one that may not be read, goes":  {rules{"a": "denied", "b": "1"}, rules{"b": "1"}, 9, []PolicyChange{{PolicyDeleted, "a"}}},

		"one is pushed beyond the limit": {rules{"b": "1", "c": "1"}, rules{"a": "1", "b": "1", "c": "1"}, 2, []PolicyChange{{PolicyCreated, "a"}}},
		"one beyond the limit moves up":  {rules{"a": "1", "b": "1", "c": "1"}, rules{"b": "1", "c": "1"}, 2, []PolicyChange{{PolicyDeleted, "a"}}},
		"one beyond the limit goes":      {rules{"a": "1", "b": "1", "c": "1"}, rules{"a": "1", "b": "1"}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := policies(c.limit, c.before), policies(c.limit, c.after)
			assert.Equal(t, c.want, before.Compare(after))
			assert.Equal(t, c.want, stored(t, before).Compare(after), "as well after it was stored")
			assert.Equal(t, len(c.after), after.Count)
		})
	}
}

// stored returns what is left of the policies after a restart.
func stored(t *testing.T, p Policies) (loaded Policies) {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &loaded))
	return loaded
}

func TestTheRulesOfPoliciesAreNotKept(t *testing.T) {
	p := policies(9, map[string]string{"a": "planted"})
	text, err := json.Marshal(p)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "planted")
	assert.Len(t, p.Rules["a"], 64)
}

func TestHowManyPoliciesAreUnread(t *testing.T) {
	p := policies(3, map[string]string{"a": "1", "b": "denied", "c": "", "d": "1", "e": "1"})
	assert.Equal(t, 5, p.Count)
	assert.Equal(t, []string{"a", "b", "c"}, p.Followed())
	assert.Equal(t, 3, p.Unread(), "one that is denied, and two beyond the limit")
	p.Without("b")
	p.Without("b")
	assert.Equal(t, 4, p.Count)
	assert.Equal(t, 2, p.Unread())
	assert.Zero(t, ListedPolicies(nil, 3).Unread())
}

func FuzzWhatIsToldOfPoliciesIsTrue(f *testing.F) {
	f.Add("a1 b2", "a2 c1", 3)
	f.Add("a1 b2 c3", "b2 c3", 2)
	f.Fuzz(func(t *testing.T, a, b string, limit int) {
		limit = max(limit, 0)
		parse := func(text string) map[string]string {
			rules := map[string]string{}
			for _, field := range strings.Fields(text) {
				rules[field[:1]] = field[1:]
			}
			return rules
		}
		was, is := parse(a), parse(b)
		before, after := policies(limit, was), policies(limit, is)
		if len(before.Compare(policies(limit, was))) > 0 {
			t.Fatal("policies differ from themselves")
		}
		told := map[string]PolicyEvent{}
		for _, c := range before.Compare(after) {
			told[c.Name] = c.Event
			old, had := was[c.Name]
			now, has := is[c.Name]
			if want := map[PolicyEvent]bool{PolicyCreated: !had && has, PolicyDeleted: had && !has, PolicyChanged: had && has && old != now}; !want[c.Event] {
				t.Fatalf("%s: event %d of %q → %q", c.Name, c.Event, old, now)
			}
		}
		if max(len(was), len(is)) > limit {
			return
		}
		for name := range was {
			if _, has := is[name]; !has && told[name] != PolicyDeleted {
				t.Fatalf("%s is not told to be deleted", name)
			}
		}
		for name := range is {
			if _, ok := told[name]; !ok && was[name] != is[name] && was[name] != "denied" && is[name] != "denied" {
				t.Fatalf("%s is not told", name)
			}
		}
	})
}
