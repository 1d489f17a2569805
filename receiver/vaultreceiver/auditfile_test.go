// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// auditFiles has Vault write to a file, and returns its path and a
// configuration that follows it, also when it is renamed.
func auditFiles(t *testing.T, address string, client *api.Client) (string, *Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": path},
	}))
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))
	require.NoError(t, client.Sys().Mount("transit", &api.MountInput{Type: "transit"}))
	write(t, client, "transit/keys/key", nil)
	return path, tailing(only(address, ""), path)
}

func tailing(cfg *Config, path string) *Config {
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	file := cfg.Audit.File.GetOrInsertDefault()
	file.Include = []string{path + "*"}
	file.StartAt = "beginning"
	return cfg
}

// ask has clients ask at the same time.
func ask(t *testing.T, client *api.Client) {
	t.Helper()
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := range 50 {
				assert.NoError(t, askEach(client, fmt.Sprintf("kv/planted-key-%d-%d", c, i)))
			}
		})
	}
	clients.Wait()
}

func askEach(client *api.Client, key string) error {
	_, wrote := client.Logical().Write(key, map[string]any{"field": "planted-value"})
	_, read := client.Logical().Read(key)
	_, encrypted := client.Logical().Write("transit/encrypt/key", map[string]any{"plaintext": "cGxhbnRlZA=="})
	_, created := client.Auth().Token().Create(&api.TokenCreateRequest{TTL: "1h"})
	return errors.Join(wrote, read, encrypted, created)
}

// writtenTo returns the IDs of the requests of which Vault wrote both entries.
func writtenTo(t *testing.T, path string) map[string]int {
	t.Helper()
	paths, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	halves := map[string]audit.Kind{}
	var reader audit.Reader
	for _, path := range paths {
		file, err := os.Open(path)
		require.NoError(t, err)
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			e, err := reader.Read(lines.Bytes())
			require.NoError(t, err)
			if !strings.HasPrefix(e.UserAgent, userAgent) {
				halves[e.ID] |= e.Kind
			}
		}
		require.NoError(t, lines.Err())
		require.NoError(t, file.Close())
	}
	whole := map[string]int{}
	for id, kinds := range halves {
		if kinds == audit.Request|audit.Response {
			whole[id] = 1
		}
	}
	return whole
}

// spansOf returns how many spans there are of each whole exchange.
func spansOf(receivers ...*observedtest.Receiver) map[string]int {
	spans := map[string]int{}
	for _, o := range receivers {
		for _, td := range o.Traces.AllTraces() {
			for _, rs := range td.ResourceSpans().All() {
				for _, ss := range rs.ScopeSpans().All() {
					for _, span := range ss.Spans().All() {
						if id, ok := span.Attributes().Get("vault.request.id"); ok && !half(span) {
							spans[id.Str()]++
						}
					}
				}
			}
		}
	}
	return spans
}

func half(span ptrace.Span) bool {
	_, ok := span.Attributes().Get("vault.request.half")
	return ok
}

// requireOnce waits until as many requests are told as were written, and
// requires that they are those, each told once.
func requireOnce(t *testing.T, path string, receivers ...*observedtest.Receiver) {
	t.Helper()
	written := writtenTo(t, path)
	last := receivers[len(receivers)-1]
	last.Eventually(t, "all that was written", func() bool { return len(spansOf(receivers...)) >= len(written) })
	spans := spansOf(receivers...)
	wrong := 0
	for id := range written {
		if spans[id] != 1 {
			wrong++
		}
	}
	assert.Zero(t, wrong, "requests that are not exactly one span, of %d", len(written))
	assert.Len(t, spans, len(written))
}

func TestEachRequestInAFileIsASpan(t *testing.T) {
	vault, client := startVault(t)
	path, cfg := auditFiles(t, vault.Addr, client)
	o := observe(t, cfg, vault.RootToken)
	ask(t, client)
	require.NoError(t, os.Rename(path, path+".1"))
	ask(t, client) // It still writes to that.
	require.NoError(t, syscall.Kill(vault.Process().PID(), syscall.SIGHUP))
	o.Eventually(t, "a new file", func() bool {
		_, err := client.Sys().ListPolicies()
		info, there := os.Stat(path)
		return err == nil && there == nil && info.Size() > 0
	})
	ask(t, client)
	requireOnce(t, path, o)
	assert.Greater(t, len(writtenTo(t, path)), 2400)
	for outcome, want := range map[string]int64{"malformed": 0, "dropped": 0, "too_long": 0, "repeated": 0} {
		o.Eventually(t, outcome, o.HasValue(want, auditEntries, auditOutcome, outcome))
	}
	o.RequireNotTold(t, "planted-value", "cGxhbnRlZA")
}

func TestFilesAreReadOnAfterARestart(t *testing.T) {
	vault, client := startVault(t)
	path, cfg := auditFiles(t, vault.Addr, client)
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	done := make(chan struct{})
	go func() { defer close(done); ask(t, client) }()
	first.Eventually(t, "some", func() bool { return len(spansOf(first)) > 100 })
	first.Shutdown(t)
	<-done
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	ask(t, client)
	requireOnce(t, path, first, second)
	assert.NotEmpty(t, spansOf(second))
}

func TestARefusingConsumerHoldsFilesBack(t *testing.T) {
	vault, client := startVault(t)
	path, cfg := auditFiles(t, vault.Addr, client)
	cfg.Audit.Queue = 50
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	first.Refuse(true)
	ask(t, client)
	first.Eventually(t, "it is refused", func() bool { return strings.Contains(first.Trouble(), "refuse") })
	assert.Empty(t, spansOf(first))
	first.Refuse(false)
	requireOnce(t, path, first)
	first.Refuse(true)
	ask(t, client)
	first.Shutdown(t)
	before := len(spansOf(first))
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	requireOnce(t, path, first, second)
	assert.Less(t, before, len(writtenTo(t, path)))
}

// An exchange of which the collector has read half before it ended.
func TestHalfAnExchangeOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := tailing(only("http://127.0.0.1:1", ""), path)
	cfg.Audit.Redact = []string{"^kv/a$"}
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	appendTo(t, path, entry("a", "request"))
	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	first.Eventually(t, "it waits", first.HasValue(1, "vault.audit.waiting.count"))
	first.Shutdown(t)
	assert.Empty(t, first.Spans("read kv/"))

	appendTo(t, path, entry("a", "response"))
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	second.Eventually(t, "the exchange", second.HasSpan("read kv/", "vault.request.id", "a"))
	span := second.Spans("read kv/")[0]
	assert.False(t, half(span))
	second.Shutdown(t)
	assert.Len(t, second.Spans("read kv/"), 1)

	third := observedtest.StartOn(t, host, NewFactory(), cfg)
	appendTo(t, path, entry("b", "request")+entry("b", "response"))
	third.Eventually(t, "the next", third.HasSpan("read kv/", "vault.request.id", "b"))
	assert.Len(t, third.Spans("read kv/"), 1)
}

// Half an exchange that has waited long enough is over, but not told.
func TestHalfAnExchangeThatIsRefusedOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := tailing(only("http://127.0.0.1:1", ""), path)
	cfg.Audit.Wait = time.Second
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	first.Refuse(true)
	appendTo(t, path, entry("a", "request"))
	first.Eventually(t, "it is refused", first.HasValue(1, "vault.audit.unpaired", "vault.request.half", "request"))
	first.Shutdown(t)
	assert.Empty(t, first.Spans("read kv/"))
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	second.Eventually(t, "it is told", second.HasSpan("read kv/", "vault.request.half", "request"))
}

// A file that is empty at the first start is read as a whole, whenever that is.
func TestAFileThatWasEmptyIsReadFromItsBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := tailing(only("http://127.0.0.1:1", ""), path)
	cfg.Audit.File.Get().StartAt = "end"
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	appendTo(t, path+".0", entry("before", "request")+entry("before", "response"))
	appendTo(t, path, "")
	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	first.Eventually(t, "it was looked at", func() bool { return first.Log.FilterMessage("Started watching file").Len() == 1 })
	first.Shutdown(t)
	appendTo(t, path, entry("a", "request")+entry("a", "response"))
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	second.Eventually(t, "what was written meanwhile", second.HasSpan("read kv/", "vault.request.id", "a"))
	assert.Len(t, second.Spans("read kv/"), 1)
}

// What is stored with the offsets is found either among the halves that wait or in
// the hand, also while what the socket brings completes what the file has begun.
func TestWhatIsReadAndNotToldIsFoundAtAnyTime(t *testing.T) {
	const many = 2000
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	w.Delivery().Traces = &slowSpans{begun: make(chan struct{}, 1), end: ctx.Done()}
	run := make(chan struct{})
	go func() { defer close(run); w.audit.run(ctx) }()
	var requests []*audit.Entry
	for i := range many {
		requests = append(requests, &audit.Entry{Kind: audit.Request, ID: strconv.Itoa(i)})
	}
	w.audit.put(requests)
	go func() {
		for _, e := range requests {
			w.audit.offer(&audit.Entry{Kind: audit.Response, ID: e.ID})
		}
	}()
	for responses := 0; responses == 0; {
		found := map[audit.Kind]int{}
		rest, _ := w.audit.rest(0)
		for _, e := range rest {
			found[e.Kind]++
		}
		responses = found[audit.Response]
		require.Equal(t, many, found[audit.Request])
	}
	cancel()
	<-run
}

// Of a lease that is the beginning of its ID, and a hash; of headers, those of traces.
func TestNoMoreIsStoredThanIsTold(t *testing.T) {
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	cfg.Audit.Redact = []string{"planted-role"}
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	var reader audit.Reader
	line := `{"type":"response","time":"2026-01-02T03:04:05Z","request":{"id":"a","path":"database/creds/planted-role","headers":{"user-agent":["planted-agent"]}},` +
		`"response":{"secret":{"lease_id":"database/creds/planted-role/planted-id"}}}`
	e, became := w.audit.read(&reader, []byte(line))
	require.Equal(t, accepted, became)
	w.audit.gather(audited{}, []*audit.Entry{e})
	stored, err := (&auditFile{stream: w.audit}).encodeRest()
	require.NoError(t, err)
	assert.NotContains(t, string(stored), "planted")
	assert.Contains(t, string(stored), `"database/creds/*"`)
	assert.Contains(t, string(stored), state.HashOf("database/creds/planted-role/planted-id"))
}

// What waits may be much, and is looked at some times a second.
func TestWhatIsNotToldIsEncodedWhenItChanges(t *testing.T) {
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	file := auditFile{stream: w.audit}
	halves := func(id string) (request, response *audit.Entry) {
		return &audit.Entry{Kind: audit.Request, ID: id}, &audit.Entry{Kind: audit.Response, ID: id}
	}
	a, b := halves("a")
	c, d := halves("c")
	deliver := func(accepted bool) {
		w.audit.step(time.Now(), w.audit.hand)
		w.audit.over(accepted)
	}
	var before []byte
	for step, tc := range []struct {
		change func()
		want   []*audit.Entry
	}{
		{func() {}, nil},
		{func() { w.audit.gather(audited{}, []*audit.Entry{a, c}) }, []*audit.Entry{a, c}},
		{func() { w.audit.offer(b); w.audit.gather(audited{}, nil) }, []*audit.Entry{c, a, b}},
		{func() { deliver(true) }, []*audit.Entry{c}},
		{func() { w.audit.gather(audited{}, []*audit.Entry{d}) }, []*audit.Entry{c, d}},
		{func() { deliver(false); w.audit.gather(audited{}, nil) }, []*audit.Entry{c, d}},
	} {
		tc.change()
		encoded, err := file.encodeRest()
		require.NoError(t, err)
		var rest []*audit.Entry
		require.NoError(t, json.Unmarshal(encoded, &rest), "step %d", step)
		assert.ElementsMatch(t, tc.want, rest, "step %d", step)
		if step > 0 {
			assert.NotSame(t, &before[0], &encoded[0], "step %d", step)
		}
		before, err = file.encodeRest()
		require.NoError(t, err)
		assert.Same(t, &encoded[0], &before[0], "step %d: nothing has changed", step)
	}
}

// A process that ends before it has looked at any file leaves them as they are: the
// next one does not read what was there before either.
func TestAStartThatReadNothingIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := tailing(only("http://127.0.0.1:1", ""), path)
	file := cfg.Audit.File.Get()
	file.StartAt, file.PollInterval = "end", time.Hour
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	appendTo(t, path, entry("before", "request")+entry("before", "response"))
	observedtest.StartOn(t, host, NewFactory(), cfg).Shutdown(t)

	file.PollInterval = 10 * time.Millisecond
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	second.Eventually(t, "it was looked at", func() bool { return second.Log.FilterMessage("Started watching file").Len() == 1 })
	second.Eventually(t, "what comes later", func() bool {
		appendTo(t, path, entry("a", "request")+entry("a", "response"))
		return second.HasSpan("read kv/", "vault.request.id", "a")()
	})
	second.Shutdown(t)
	assert.Len(t, second.Spans("read kv/"), 1)
}

func TestWhateverIsInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := tailing(only("http://127.0.0.1:1", ""), path)
	cfg.Audit.LongestLine = 100_000
	o := observe(t, cfg)
	count := func(outcome string, want int64) func() bool {
		return o.HasValue(want, auditEntries, auditOutcome, outcome)
	}
	appendTo(t, path, "\x00\xff garbage\n{}\n"+strings.Repeat("[", 50_000)+"\n"+entry("a", "request"))
	o.Eventually(t, "garbage", count("malformed", 3))
	appendTo(t, path, strings.Repeat("x", 5_000_000)+"\n"+entry("a", "response"))
	o.Eventually(t, "the next line", o.HasSpan("read kv/", "vault.request.id", "a"))
	o.Eventually(t, "a line that is too long", count("too_long", 1))
	whole := entry("b", "request") + entry("b", "response")
	appendTo(t, path, whole[:50])
	appendTo(t, path, whole[50:])
	o.Eventually(t, "a line that was written in parts", o.HasSpan("read kv/", "vault.request.id", "b"))
	appendTo(t, path, whole)
	o.Eventually(t, "what was told already", count("repeated", 2))
	o.Eventually(t, "nothing more", count("malformed", 3))
}

// Vault writes first whose request it is, with the names of all policies of the
// token, and only then which request: the files of a rotation begin alike.
func TestFilesThatBeginAlikeAreReadEach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	o := observe(t, tailing(only("http://127.0.0.1:1", ""), path))
	whose := `{"auth":{"policies":["` + strings.Repeat("a-policy\",\"", 300) + `"]},`
	for i, id := range []string{"a", "b"} {
		for _, kind := range []string{"request", "response"} {
			appendTo(t, fmt.Sprintf("%s.%d", path, i), whose+entry(id, kind)[1:])
		}
	}
	for _, id := range []string{"a", "b"} {
		o.Eventually(t, id, o.HasSpan("read kv/", "vault.request.id", id))
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = file.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}
