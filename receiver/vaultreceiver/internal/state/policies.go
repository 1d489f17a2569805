// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
)

// Policies are what is known of the ACL policies.
type Policies struct {
	// Count is how many there are.
	Count int

	// Rules are digests of the rules by the names of the policies, for those that
	// are followed. Empty: they are not known.
	Rules map[string]string

	names map[string]bool // of all; nil of what was stored
}

// ListedPolicies returns the policies of a list. Those beyond the limit are counted
// only; the names decide which these are, so that they are the same each time.
func ListedPolicies(names []string, limit int) Policies {
	p := Policies{Rules: map[string]string{}, names: map[string]bool{}}
	for _, name := range names {
		p.names[name] = true
	}
	p.Count = len(p.names)
	sorted := slices.Sorted(maps.Keys(p.names))
	for _, name := range sorted[:min(limit, len(sorted))] {
		p.Rules[name] = ""
	}
	return p
}

// Followed returns the names of the policies that are followed, in their order.
func (p Policies) Followed() []string { return slices.Sorted(maps.Keys(p.Rules)) }

// Read takes in what the rules of a policy are.
func (p Policies) Read(name, rules string) { p.Rules[name] = Digest(rules) }

// Without takes in that a policy was deleted since they were listed.
func (p *Policies) Without(name string) {
	delete(p.Rules, name)
	delete(p.names, name)
	p.Count = len(p.names)
}

// Unread is the number of policies of which changes are not seen, as their rules
// are not known.
func (p Policies) Unread() int {
	unread := p.Count
	for _, digest := range p.Rules {
		if digest != "" {
			unread--
		}
	}
	return unread
}

// PolicyEvent is what happened to a policy.
type PolicyEvent int

// The events of policies.
const (
	PolicyCreated PolicyEvent = iota
	PolicyChanged
	PolicyDeleted
)

// PolicyChange is one event of one policy.
type PolicyChange struct {
	Event PolicyEvent
	Name  string
}

// Compare returns what has changed, in the order of the names. When there were
// policies beyond the limit, one that is followed now may have been there before:
// it is not told.
func (p Policies) Compare(after Policies) []PolicyChange {
	var changes []PolicyChange
	for name, before := range p.Rules {
		now := after.Rules[name]
		switch {
		case !after.names[name]:
			changes = append(changes, PolicyChange{PolicyDeleted, name})
		case before != "" && now != "" && before != now:
			changes = append(changes, PolicyChange{PolicyChanged, name})
		}
	}
	all := p.Count == len(p.Rules)
	for name := range after.Rules {
		if _, known := p.Rules[name]; !known && all {
			changes = append(changes, PolicyChange{PolicyCreated, name})
		}
	}
	slices.SortFunc(changes, func(a, b PolicyChange) int { return cmp.Compare(a.Name, b.Name) })
	return changes
}
