// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATokenIsToldOnceBeforeItExpires(t *testing.T) {
	token := func(accessor string, expires int) Token { return Token{Accessor: accessor, Expires: at(expires)} }
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
				var want []Effect
				if expiring, told := tc.want[i]; told {
					want = []Effect{expiring}
				}
				assert.Equal(t, want, e.Step(at(i), token, 10*time.Second), "at %d", i)
			}
		})
	}
}

// A time that is decoded twice is the same one, but does not compare as such.
func TestATokenIsToldOnceInWhateverZoneItsExpiryIs(t *testing.T) {
	var e Expiry
	told := 0
	for range 3 {
		var token Token
		require.NoError(t, token.Expires.UnmarshalJSON([]byte(`"1970-01-01T05:50:05+05:50"`)))
		told += len(e.Step(at(0), token, 10*time.Second))
	}
	assert.Equal(t, 1, told)
}

func TestAServerLagsBehindTheLongestLog(t *testing.T) {
	a := Autopilot{Servers: []Server{{Name: "a", LastIndex: 7}, {Name: "b", LastIndex: 10}, {Name: "c"}}}
	var lags []int64
	for _, s := range a.Servers {
		lags = append(lags, a.Lag(s))
	}
	assert.Equal(t, []int64{3, 0, 10}, lags)
	assert.Zero(t, Autopilot{}.Lag(Server{}))
}
