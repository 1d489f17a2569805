// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsKnownOfAToken(t *testing.T) {
	for path, want := range map[string]struct{ path, mount string }{
		"auth/userpass/login/ann":             {"auth/userpass/login/ann", "auth/userpass/"},
		"auth/team/up/login/bob":              {"auth/team/up/login/bob", "auth/team/up/"},
		"auth/token/create":                   {"auth/token/create", "auth/token/"},
		"auth/token/create/role/suffix":       {"auth/token/create/role/suffix", "auth/token/"},
		"secret/data/app":                     {"secret/data/app", "secret/"},
		"sys/wrapping/wrap":                   {"sys/wrapping/wrap", "sys/"},
		"sys/leases/renew/database/creds/a/b": {"sys/leases/renew", "sys/"},
		"":                                    {"", ""},
		strings.Repeat("é", maxTokenPath):     {strings.Repeat("é", maxTokenPath/2), strings.Repeat("é", maxTokenPath/2) + "/"},
	} {
		token := NewToken(path, strings.Repeat("x", 1000))
		assert.Equal(t, want.path, token.Path)
		assert.Equal(t, want.mount, token.Mount([]string{"auth/team/up/", "auth/token/"}), path)
		assert.Len(t, token.DisplayName, maxDisplayName)
	}
	assert.Equal(t, "a", NewToken("p", "a\xff").DisplayName)
}

func of(event LifeEvent, accessor string, ends int) TokenEffect {
	return TokenEffect{Event: event, Life: Life[Token]{ID: accessor, Expires: after(ends)}}
}

// accessors returns whose warnings are to be told.
func accessors(effects []TokenEffect) (ids []string) {
	for _, e := range effects {
		ids = append(ids, e.Life.ID)
	}
	return ids
}

func TestAWarningIsToldOncePerEnd(t *testing.T) {
	w := NewWarnings(10)
	take := func(effects ...TokenEffect) []string { return accessors(w.Take(after(0), effects)) }
	assert.Equal(t, []string{"a", "b"}, take(of(LifeCreated, "a", 60), of(LifeExpiring, "a", 60), of(LifeExpiring, "b", 60)))
	assert.Empty(t, take(of(LifeExpiring, "a", 60)))
	assert.Empty(t, take(of(LifeRenewed, "a", 120)))
	assert.Equal(t, []string{"a"}, take(of(LifeExpiring, "a", 120)), "it was renewed since")
	assert.Empty(t, take(of(LifeEnded, "b", 60)))

	stored, err := json.Marshal(w.Save(after(1)))
	require.NoError(t, err)
	assert.JSONEq(t, fmt.Sprintf(`{%q: %d}`, HashOf("a"), after(120).UnixNano()), string(stored), "b has ended")
	var saved SavedWarnings
	require.NoError(t, json.Unmarshal(stored, &saved))
	w = NewWarnings(10)
	w.Restore(after(2), saved)
	assert.Equal(t, []string{"b"}, take(of(LifeExpiring, "a", 120), of(LifeExpiring, "b", 60)))
	assert.Equal(t, []string{"a"}, take(of(LifeExpiring, "a", 180)), "it was renewed meanwhile")
	assert.Empty(t, w.Save(after(180).Add(outOfMind+time.Second)), "all have ended long ago")
}

func TestWarningsAreBounded(t *testing.T) {
	w := NewWarnings(2)
	told := w.Take(after(0), []TokenEffect{of(LifeExpiring, "a", 60), of(LifeExpiring, "b", 7200), of(LifeExpiring, "c", 7200)})
	assert.Equal(t, []string{"a", "b", "c"}, accessors(told))
	assert.Len(t, w.Save(after(0)), 2)
	assert.Equal(t, []string{"c"}, accessors(w.Take(after(3700), []TokenEffect{of(LifeExpiring, "b", 7200), of(LifeExpiring, "c", 7200)})))
	assert.Equal(t, SavedWarnings{HashOf("b"): after(7200).UnixNano(), HashOf("c"): after(7200).UnixNano()}, w.Save(after(3700)), "a gave way")
}

func FuzzWarnings(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 2, 3, 3, 4})
	f.Fuzz(func(t *testing.T, script []byte) {
		const limit = 5
		w := NewWarnings(limit)
		told := map[string]bool{} // of those that are remembered
		for i, now := 0, after(0); i+1 < len(script); i += 2 {
			id, ends := string('a'+rune(script[i+1]%8)), int(script[i+1]/8)*600
			key := fmt.Sprint(HashOf(id), after(ends).UnixNano())
			_, remembered := w.ends[HashOf(id)]
			switch script[i] % 5 {
			case 0:
				now = now.Add(time.Duration(script[i+1]) * time.Minute)
			case 1:
				w.Take(now, []TokenEffect{of(LifeEnded, id, ends)})
			case 2:
				saved := w.Save(now)
				w = NewWarnings(limit)
				w.Restore(now, saved)
			default:
				known := remembered && w.ends[HashOf(id)] == after(ends).UnixNano()
				news := w.Take(now, []TokenEffect{of(LifeExpiring, id, ends)})
				require.Equal(t, !known, len(news) == 1)
				told[key] = true
			}
			require.LessOrEqual(t, len(w.ends), limit)
			for hash, ends := range w.ends {
				require.True(t, told[fmt.Sprint(hash, ends)])
			}
		}
	})
}
