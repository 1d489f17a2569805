// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package acltoken

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

func TestATokenIsReportedOnceBeforeItExpires(t *testing.T) {
	token := func(accessor string, expires int) Token {
		return Token{Accessor: accessor, Expires: snapshottest.At(expires)}
	}
	for name, tc := range map[string]struct {
		tokens []Token // a second apart
		want   map[int]Expiring
	}{
		"one that never expires": {[]Token{{Accessor: "a"}, {Accessor: "a"}}, nil},
		"one that has long to go": {
			[]Token{token("a", 100)}, nil,
		},
		"one that gets near": {
			[]Token{token("a", 12), token("a", 12), token("a", 12), token("a", 12)},
			map[int]Expiring{2: {token("a", 12), 10 * time.Second}},
		},
		"one that has expired": {
			[]Token{token("a", 5), {}, {}, {}, {}, {}, {}, token("b", 5)},
			map[int]Expiring{0: {token("a", 5), 5 * time.Second}, 7: {token("b", 5), -2 * time.Second}},
		},
		"another one": {
			[]Token{token("a", 5), token("b", 5), token("b", 5)},
			map[int]Expiring{0: {token("a", 5), 5 * time.Second}, 1: {token("b", 5), 4 * time.Second}},
		},
		"one whose expiry was moved": {
			[]Token{token("a", 5), token("a", 9)},
			map[int]Expiring{0: {token("a", 5), 5 * time.Second}, 1: {token("a", 9), 8 * time.Second}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var e Expiry
			for i, token := range tc.tokens {
				var want []Expiring
				if expiring, reported := tc.want[i]; reported {
					want = []Expiring{expiring}
				}
				assert.Equal(t, want, e.Step(snapshottest.At(i), token, 10*time.Second), "at %d", i)
			}
		})
	}
}

// A time that is decoded twice is the same one, but does not compare as such.
func TestATokenIsReportedOnceInWhateverZoneItsExpiryIs(t *testing.T) {
	var e Expiry
	reported := 0
	for range 3 {
		var token Token
		require.NoError(t, token.Expires.UnmarshalJSON([]byte(`"1970-01-01T05:50:05+05:50"`)))
		reported += len(e.Step(snapshottest.At(0), token, 10*time.Second))
	}
	assert.Equal(t, 1, reported)
}
