// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package key

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func named(name string, created, modified int64) Key {
	return Key{Name: name, Created: created, Modified: modified, Version: 1}
}

func TestKeysOverTheLimitAreReportedButNotRemembered(t *testing.T) {
	space := NewSpace([]string{"/"}, 1)
	keys := space.Under([]string{"/"})
	remembered, reported := keys.Put(named("/a", 1, 1), Key{}, false, true, true)
	assert.True(t, remembered && reported)
	remembered, reported = keys.Put(named("/b", 2, 2), Key{}, false, true, true)
	assert.True(t, !remembered && reported)
	assert.Equal(t, 1, space.OverLimit())
	assert.Equal(t, map[string]Counts{"/": {Keys: 1, Size: 2, Puts: 2}}, space.Counts())

	old, was, reported := keys.Delete(Change{Key: Key{Name: "/a", Modified: 3}, Deleted: true})
	assert.True(t, reported)
	assert.Equal(t, named("/a", 1, 1), old)
	assert.Equal(t, named("/a", 1, 3), was, "as it was, at the revision of the deletion")
	remembered, _ = keys.Put(named("/b", 2, 4), Key{}, false, false, true)
	assert.True(t, remembered, "there is room again")
	assert.Zero(t, space.OverLimit())
	require.NoError(t, space.Verify())
}

func TestTheLimitIsOneForAllPrefixes(t *testing.T) {
	space := NewSpace(nil, 3)
	a, b := space.Under(nil), space.Under(nil)
	for _, name := range []string{"/a/1", "/a/2"} {
		assert.True(t, a.Restore(named(name, 1, 1)))
	}
	fit, over := b.Fit([]Key{named("/b/1", 1, 1), named("/b/2", 1, 1)}, 5)
	assert.Len(t, fit, 1)
	assert.Equal(t, 6, over)
}

func TestHowAListDiffers(t *testing.T) {
	keys := NewSpace(nil, 100).Under(nil)
	for _, k := range []Key{named("/changed", 1, 1), named("/deleted", 2, 2), named("/same", 3, 3), named("/z", 4, 4)} {
		keys.Restore(k)
	}
	list := []Key{named("/changed", 1, 9), named("/new", 8, 8), named("/same", 3, 3)}
	deleted, changed, unknown := keys.Compare(list, 10, true)
	assert.Equal(t, []Change{{Key: Key{Name: "/deleted", Modified: 10}, Deleted: true}}, deleted)
	assert.Equal(t, []Change{{Key: list[1]}, {Key: list[0]}}, changed, "in the order of their revisions")
	assert.Equal(t, []string{"/z"}, unknown, "it may be after the last one of the list")

	deleted, _, unknown = keys.Compare(list, 10, false)
	assert.Len(t, deleted, 2)
	assert.Empty(t, unknown)
}
