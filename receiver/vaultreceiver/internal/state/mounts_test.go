// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatHappensToMounts(t *testing.T) {
	kv := Mount{Path: "kv/", Type: "kv", Accessor: "kv_1", Version: "1", PluginVersion: "v0.21.0", Settings: "a"}
	with := func(change func(*Mount)) Mount {
		m := kv
		change(&m)
		return m
	}
	moved, tuned := with(func(m *Mount) { m.Path = "team/kv/" }), with(func(m *Mount) { m.Settings = "b" })
	second, plugin := with(func(m *Mount) { m.Version = "2" }), with(func(m *Mount) { m.PluginVersion = "v0.22.0" })
	all := with(func(m *Mount) { m.Path, m.Version, m.Settings = "z/", "2", "b" })
	unset := with(func(m *Mount) { m.Version = "" })
	unknown := with(func(m *Mount) { m.PluginVersion = "" })
	for name, c := range map[string]struct {
		before, after Mounts
		want          []MountChange
	}{
		"nothing":              {Mounts{"1": kv}, Mounts{"1": kv}, nil},
		"one is enabled":       {nil, Mounts{"1": kv}, []MountChange{{Event: MountEnabled, Mount: kv}}},
		"one is disabled":      {Mounts{"1": kv}, nil, []MountChange{{Event: MountDisabled, Mount: kv, Before: kv}}},
		"one is moved":         {Mounts{"1": kv}, Mounts{"1": moved}, []MountChange{{Event: MountMoved, Mount: moved, Before: kv}}},
		"one is tuned":         {Mounts{"1": kv}, Mounts{"1": tuned}, []MountChange{{Event: MountTuned, Mount: tuned, Before: kv}}},
		"one gets version 2":   {Mounts{"1": kv}, Mounts{"1": second}, []MountChange{{Event: MountUpgraded, Mount: second, Before: kv}}},
		"one gets a version":   {Mounts{"1": unset}, Mounts{"1": second}, []MountChange{{Event: MountUpgraded, Mount: second, Before: unset}}},
		"a plugin is upgraded": {Mounts{"1": kv}, Mounts{"1": plugin}, []MountChange{{Event: MountUpgraded, Mount: plugin, Before: kv}}},
		"a version that was not known is no upgrade": {Mounts{"1": unknown}, Mounts{"1": kv}, nil},
		"a version that is not known any more":       {Mounts{"1": kv}, Mounts{"1": unknown}, nil},
		"all at once": {Mounts{"1": kv}, Mounts{"1": all}, []MountChange{
			{Event: MountMoved, Mount: all, Before: kv}, {Event: MountUpgraded, Mount: all, Before: kv}, {Event: MountTuned, Mount: all, Before: kv},
		}},
		"another one at the same path": {Mounts{"1": kv}, Mounts{"2": kv}, []MountChange{
			{Event: MountDisabled, Mount: kv, Before: kv}, {Event: MountEnabled, Mount: kv},
		}},
		"one makes room for another": {Mounts{"1": kv}, Mounts{"1": moved, "2": kv}, []MountChange{
			{Event: MountMoved, Mount: moved, Before: kv}, {Event: MountEnabled, Mount: kv},
		}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, c.before.Compare(c.after)) })
	}
}

// mountsOf reads four bytes as the key and what is of a mount.
func mountsOf(data []byte) Mounts {
	m := Mounts{}
	for part := range slices.Chunk(data, 4) {
		at := func(i int) string {
			if i >= len(part) {
				return ""
			}
			return string(part[i : i+1])
		}
		m[at(0)] = Mount{Path: at(1), Accessor: at(0), PluginVersion: at(2), Settings: at(3)}
	}
	return m
}

func FuzzWhatIsToldOfMountsMakesTheOneOfTheOther(f *testing.F) {
	f.Add([]byte("1abc2def"), []byte("1xyz3def"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		before, after := mountsOf(a), mountsOf(b)
		if len(before.Compare(mountsOf(a))) > 0 {
			t.Fatal("mounts differ from themselves")
		}
		changes := before.Compare(after)
		if !slices.IsSortedFunc(changes, func(a, b MountChange) int { return int(a.Event) - int(b.Event) }) {
			t.Fatal("they are not in order")
		}
		for _, c := range changes {
			if c.Event == MountDisabled {
				delete(before, c.Mount.Accessor)
			} else {
				before[c.Mount.Accessor] = c.Mount
			}
		}
		for key, want := range after {
			got, ok := before[key]
			if ok && (got.PluginVersion == "" || want.PluginVersion == "") {
				got.PluginVersion = want.PluginVersion // From or to what is not known is no news.
			}
			if !ok || got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
		if len(before) != len(after) {
			t.Fatalf("got %v, want %v", before, after)
		}
	})
}
