// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// recorded is what a real Vault 1.19.5 wrote to a file device: a certificate that
// is issued with a traceparent, secrets that are written and read, a token that may
// not, one that is not valid, a login, and one that fails.
func recorded(tb testing.TB) [][]byte {
	content, err := os.ReadFile("testdata/vault_1_19_5.jsonl")
	require.NoError(tb, err)
	return bytes.Split(bytes.TrimSpace(content), []byte("\n"))
}

func TestEntriesOfARealVault(t *testing.T) {
	var reader Reader
	found := map[string]*Entry{}
	for _, line := range recorded(t) {
		e, err := reader.Read(line)
		require.NoError(t, err)
		assert.False(t, e.Time.IsZero())
		found[e.ID+string(rune('0'+e.Kind))] = e
	}
	assert.Equal(t, &Entry{
		Kind: Response, ID: "9ef46c93-87fb-f7ec-e051-857523a3ea41", Time: found["9ef46c93-87fb-f7ec-e051-857523a3ea412"].Time,
		Operation: "update", Path: "pki/issue/web", Mount: Mount{"pki/", "pki"},
		RemoteAddress: "127.0.0.1", RemotePort: 51248,
		Auth: Auth{
			DisplayName: "token", TokenType: "service", Judged: true, Allowed: true,
		},
		UserAgent: "curl/7.88.1", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		LeasePrefix: "pki/issue/web", LeaseHash: found["9ef46c93-87fb-f7ec-e051-857523a3ea412"].LeaseHash,
	}, found["9ef46c93-87fb-f7ec-e051-857523a3ea412"])
	assert.Len(t, found["9ef46c93-87fb-f7ec-e051-857523a3ea412"].LeaseHash, 16)
	assert.Empty(t, found["9ef46c93-87fb-f7ec-e051-857523a3ea411"].LeaseHash, "a request issues nothing")

	denied := found["59633d4c-400e-6b70-60e6-b63cae4641f02"]
	assert.Equal(t, Denied, denied.Failure)
	assert.True(t, denied.Auth.Judged)
	assert.False(t, denied.Auth.Allowed)
	unknown := found["73584061-af7b-2923-f114-49dbcd3ee0ab2"]
	assert.Equal(t, InvalidToken, unknown.Failure)
	assert.False(t, unknown.Auth.Judged)
	login := found["d012d352-8422-de44-c258-deb168ff79332"]
	assert.Equal(t, Auth{
		DisplayName: "userpass-ann", EntityID: "0fcee3d2-9257-f2d9-08c8-184646af59c3", TokenType: "service",
	}, login.Auth)
	assert.Equal(t, 768*time.Hour, login.TTL)
	assert.True(t, login.Unnamed)
	assert.Equal(t, Invalid, found["69bf297f-8b7b-716d-5b6f-4d05b5da7a9c2"].Failure)
}

func TestResponsesThatNameNoLease(t *testing.T) {
	var reader Reader
	for response, want := range map[string]bool{
		`{}`: false,
		`{"secret":{"lease_id":"pki/issue/web/a"}}`:         false,
		`{"auth":{"token_ttl":600,"token_type":"service"}}`: true,
		`{"auth":{"token_ttl":600,"token_type":"batch"}}`:   false,
		`{"auth":{}}`:        false,
		`{"auth":"service"}`: false,
		`{"wrap_info":{"ttl":300,"token":"hmac-sha256:a"}}`: true,
		`{"wrap_info":null}`: false,
		`{"wrap_info":{},"auth":{"token_type":"batch"},"data":"x"}`: true,
	} {
		for _, rest := range []string{"", `,"data":"` + strings.Repeat("x", usual) + `"`} {
			e, err := reader.Read([]byte(`{"type":"response","time":"2026-01-02T03:04:05Z","request":{"id":"a"},"response":` + response + rest + `}`))
			require.NoError(t, err)
			assert.Equal(t, want, e.Unnamed, "%s, %d bytes more", response, len(rest))
		}
	}
}

func TestLinesThatAreNoEntries(t *testing.T) {
	for line, want := range map[string]error{
		"":                                      ErrNotJSON,
		"\x00\xff\xfe":                          ErrNotJSON,
		`["request"]`:                           ErrNotJSON,
		`{"type":"request"`:                     ErrNotJSON,
		`{"type":"request"}`:                    ErrNotEntry,
		`{"type":"heartbeat"}`:                  ErrNotEntry,
		`{"type":"request","request":[]}`:       ErrNotEntry,
		`{"type":"request","request":{"id":7}}`: ErrNotEntry,
		`{"type":"request","request":{"id":"a"},"time":"planted"}`:     ErrNotEntry,
		strings.Repeat("[", 1000):                                      ErrNotJSON,
		`{"type":"request","request":` + strings.Repeat(`{"a":`, 1000): ErrNotJSON,
	} {
		var reader Reader
		_, err := reader.Read([]byte(line))
		require.ErrorIs(t, err, want, "%.50q", line)
		assert.NotContains(t, err.Error(), "planted")
	}
}

// What is used of a long line is the same as of a short one.
func TestLongLines(t *testing.T) {
	var reader Reader
	for _, line := range recorded(t) {
		want, err := reader.Read(line)
		require.NoError(t, err)
		long := append([]byte(`{"data":[`+strings.Repeat(`"b",`, usual)+`"b"],`), line[1:]...)
		got, err := reader.Read(long)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	many := strings.Repeat("0,", usual)
	for line, want := range map[string]error{
		`[` + many + `0]`:      ErrNotEntry,
		`{"a":[` + many + `0}`: ErrNotJSON,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":[` + many + `0]}}`:                 ErrNotEntry,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":[` + many + `0]}`:                        ErrNotEntry,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":"a"},"auth":[` + many + `0]}`:      nil,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":"a","headers":"` + many + `"}}`:    nil,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":"` + many + `"}}`:                  ErrNotEntry,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":"a","path":"` + many + `"}}`:       nil,
		`{"type":"request","time":"2026-01-02T03:04:05Z","request":` + strings.Repeat(`{"a":`, usual) + `7`: ErrNotJSON,
	} {
		_, err := reader.Read([]byte(line))
		require.ErrorIs(t, err, want, "%.100q", line)
	}
}

// Whoever asks Vault chooses how long headers and paths are, and what errors repeat.
func TestNoLongTextHidesARequest(t *testing.T) {
	const begins, ends = `{"type":"response","time":"2026-01-02T03:04:05Z",`, `,"operation":"read","mount_point":"kv/"},"response":{"secret":{"lease_id":"kv/1"}}}`
	var reader Reader
	for name, long := range map[string]string{"letters": "x", "escapes": `\u0000`, "quotes": `\"`, "letters of three bytes": "€"} {
		long = strings.Repeat(long, 2*usual)
		for part, line := range map[string]string{
			"path":    `"request":{"id":"a","path":"` + long + `"`,
			"headers": `"request":{"id":"a","headers":{"user-agent":["` + long + `"],"traceparent":["` + long + `"],"tracestate":["` + long + `"]}`,
			"error":   `"error":"permission denied ` + long + `","request":{"id":"a"`,
			"all":     `"error":"permission denied ` + long + `","request":{"id":"a","path":"` + long + `","remote_address":"` + long + `","mount_type":"` + long + `"`,
		} {
			e, err := reader.Read([]byte(begins + line + ends))
			require.NoError(t, err, "%s: %s", part, name)
			assert.Equal(t, []string{"a", "read", "kv/", "kv", state.HashOf("kv/1")}, []string{e.ID, e.Operation, e.Mount.Path, e.LeasePrefix, e.LeaseHash}, "%s: %s", part, name)
			assert.Equal(t, part == "path" || part == "all", len(e.Path) >= longestText, "%s: %s", part, name)
			assert.LessOrEqual(t, len(e.Path), longestText+3, "%s: %s", part, name)
			assert.Equal(t, part == "error" || part == "all", e.Failure == Denied, "%s: %s", part, name)
			assert.Empty(t, e.UserAgent+e.TraceParent, "%s: %s", part, name)
		}
	}
}

func TestTextsAreBounded(t *testing.T) {
	var reader Reader
	e, err := reader.Read([]byte(`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":"a","operation":"re` + "\xff" +
		`ad","path":"` + strings.Repeat("p", 5000) + `"}}`))
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("p", longestText), e.Path)
	assert.Equal(t, "re\uFFFDad", e.Operation)
}

// bombs are lines of about so many bytes in which there are as many values as fit.
func bombs(size int) map[string][]byte {
	made := map[string][]byte{}
	for name, value := range map[string]string{"numbers": "0,", "arrays": "[0],", "objects": `{"":0},`, "empty objects": "{},"} {
		made[name] = []byte(`{"type":"request","time":"2026-01-02T03:04:05Z","request":{"id":"a","data":[` + strings.Repeat(value, size/len(value)) + `0]}}`)
	}
	return made
}

// The memory that a line takes does not depend on what is in it.
func TestBombsTakeNoMemory(t *testing.T) {
	var reader Reader
	for name, bomb := range bombs(5 << 20) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, err := reader.Read(bomb)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			assert.Equal(t, "a", e.ID)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "all that was allocated meanwhile")
		})
	}
	short := bombs(usual - 200)
	list := `[` + strings.Repeat("0,", longestOther/2-1) + `0]`
	short["parts"] = []byte(`{"type":"request","time":"2026-01-02T03:04:05Z","error":` + list + `,"forwarded_from":` + list + `,"request":{"id":"a","operation":` + list +
		`,"path":` + list + `,"mount_point":` + list + `,"mount_type":` + list + `,"remote_address":` + list + `,"remote_port":` + list +
		`,"headers":{"user-agent":` + list + `,"traceparent":` + list + `,"tracestate":` + list + `},"data":"` + strings.Repeat("x", usual) + `"}}`)
	for name, bomb := range short {
		t.Run("short "+name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := reader.Read(bomb)
			require.NoError(t, err)
			runtime.GC()
			runtime.ReadMemStats(&after)
			assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(5<<20), "each of the parsers keeps")
		})
	}
}

// A time goes into the storage and into telemetry, which take fewer than can be written.
func TestTimesThatCannotBeTold(t *testing.T) {
	var reader Reader
	read := func(at string) (*Entry, error) {
		return reader.Read([]byte(`{"type":"request","time":"` + at + `","request":{"id":"a"}}`))
	}
	for _, at := range []string{"0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:59Z"} {
		_, err := read(at)
		require.ErrorIs(t, err, ErrNotEntry, at)
	}
	for at, want := range map[string]string{
		"1970-01-01T00:00:00Z": "1970-01-01T00:00:00Z", "2262-04-11T00:00:00Z": "2262-04-11T00:00:00Z",
		"2026-01-02T03:04:05.5+01:00": "2026-01-02T02:04:05.5Z", "2026-01-02T03:04:05+24:00": "2026-01-01T03:04:05Z",
	} {
		e, err := read(at)
		require.NoError(t, err, at)
		stored, err := json.Marshal(e.Time)
		require.NoError(t, err, at)
		assert.Equal(t, strconv.Quote(want), string(stored))
	}
}

func FuzzRead(f *testing.F) {
	for _, line := range recorded(f)[:4] {
		f.Add(line)
	}
	f.Add([]byte(`{"type":"response","time":"2026-01-02T03:04:05Z","request":{"id":"a","remote_port":"x","headers":{"traceparent":{}}},"auth":[],"response":7}`))
	f.Add([]byte(`{"type":"response","time":"2026-01-02T03:04:05Z","request":{"id":"a","data":"` + strings.Repeat("x", usual) + `"},"auth":[]}`))
	var reader Reader
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := reader.Read(line)
		if err != nil {
			require.Nil(t, e)
			return
		}
		require.NotEmpty(t, e.ID)
		require.NotZero(t, e.Kind)
		stored, err := json.Marshal(e)
		require.NoError(t, err)
		var again Entry
		require.NoError(t, json.Unmarshal(stored, &again))
		require.Equal(t, *e, again)
	})
}
