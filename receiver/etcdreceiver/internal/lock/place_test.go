// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestALockIsFollowedWithItsWholeQueueOnly(t *testing.T) {
	for prefix, want := range map[string]bool{"/": true, "/l": true, "/l/": true, "/l/a": false, "/m": false} {
		_, ok := Prefixes{Locks: []string{prefix}}.place(Key{Name: "/l/a", Lease: 0xa})
		assert.Equal(t, want, ok, prefix)
	}
}

func TestWhichKeysAreOfLocksAndElections(t *testing.T) {
	p := Prefixes{
		Locks: []string{"/l/deep/", "/both/", "/l/"}, Elections: []string{"/l/deep/e/", "/both/", "/e/"}, Either: []string{"/"},
	}
	for name, tc := range map[string]struct {
		key      string
		hasValue bool
		want     place
	}{
		"of a lock, whatever its value is":             {"/l/x/a", true, place{"/l/x", "/l/", false}},
		"under the longest prefix":                     {"/l/deep/x/a", false, place{"/l/deep/x", "/l/deep/", false}},
		"of an election, without a value":              {"/e/x/a", false, place{"/e/x", "/e/", true}},
		"of an election, under the longer prefix":      {"/l/deep/e/x/a", false, place{"/l/deep/e/x", "/l/deep/e/", true}},
		"of a lock, as both are said to be there":      {"/both/x/a", false, place{"/both/x", "/both/", false}},
		"of an election, as both are said to be there": {"/both/x/a", true, place{"/both/x", "/both/", true}},
		"of a lock, as it has no value":                {"/other/x/a", false, place{"/other/x", "/", false}},
		"of an election, as it has a value":            {"/other/x/a", true, place{"/other/x", "/", true}},
	} {
		t.Run(name, func(t *testing.T) {
			got, is := p.place(Key{Name: tc.key, Lease: 0xa, HasValue: tc.hasValue})
			assert.True(t, is)
			assert.Equal(t, tc.want, got)
		})
	}
	for _, key := range []Key{{Name: "/l/x/a", Lease: 0xb}, {Name: "/l/x/a"}, {Name: "a", Lease: 0xa}, {Name: "/l/x/0a", Lease: 0xa}} {
		_, is := p.place(key)
		assert.False(t, is, key)
	}
	_, is := Prefixes{Either: []string{"/l/a"}}.place(Key{Name: "/l/a", Lease: 0xa})
	assert.False(t, is, "the rest of the queue is not observed")
	_, is = p.place(Key{Name: "/l/x/" + strconv.FormatUint(1<<63, 16), Lease: math.MinInt64})
	assert.True(t, is, "a lease can be negative")
}
