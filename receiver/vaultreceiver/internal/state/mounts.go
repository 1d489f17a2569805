// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
)

// Mount is a secrets engine or an auth method that is enabled.
type Mount struct {
	Path     string // with a slash at its end; that of an auth method begins with auth/
	Type     string
	Accessor string

	Version       string // of the mount itself, as kv has one; empty: none was set
	PluginVersion string // that serves it; empty: not known

	// Settings is a Fingerprint of what else can be set.
	Settings string
}

// Mounts are all of one class. The key is what a mount keeps when it is moved,
// and loses when it is disabled.
type Mounts map[string]Mount

// Paths returns the paths of the mounts by their accessors.
func (m Mounts) Paths() map[string]string {
	paths := make(map[string]string, len(m))
	for _, mount := range m {
		paths[mount.Accessor] = mount.Path
	}
	return paths
}

// MountEvent is what happened to a mount.
type MountEvent int

// The order is that in which they are told: what a mount leaves is free for another.
const (
	MountDisabled MountEvent = iota
	MountMoved
	MountEnabled
	MountUpgraded
	MountTuned
)

// MountChange is one event of one mount. Before is the zero value for one that
// was enabled, and of the others is what it was.
type MountChange struct {
	Event         MountEvent
	Mount, Before Mount
}

// Compare returns what has changed, in the order of the events and then of the paths.
func (m Mounts) Compare(after Mounts) []MountChange {
	var changes []MountChange
	for key, before := range m {
		now, still := after[key]
		if !still {
			changes = append(changes, MountChange{Event: MountDisabled, Mount: before, Before: before})
			continue
		}
		add := func(event MountEvent, happened bool) {
			if happened {
				changes = append(changes, MountChange{Event: event, Mount: now, Before: before})
			}
		}
		add(MountMoved, now.Path != before.Path)
		add(MountUpgraded, before.Version != now.Version || replaced(before.PluginVersion, now.PluginVersion))
		add(MountTuned, now.Settings != before.Settings)
	}
	for key := range after {
		if _, known := m[key]; !known {
			changes = append(changes, MountChange{Event: MountEnabled, Mount: after[key]})
		}
	}
	slices.SortFunc(changes, func(a, b MountChange) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Mount.Path, b.Mount.Path), cmp.Compare(a.Mount.Accessor, b.Mount.Accessor))
	})
	return changes
}

// replaced says whether what was known is something else now.
func replaced(before, now string) bool { return before != "" && now != "" && before != now }
