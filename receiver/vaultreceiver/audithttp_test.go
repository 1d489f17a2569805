// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// OpenBao cannot be built here, as its module is not to be had. So what is posted
// is what a real Vault wrote, of which OpenBao has the format, and it is posted as
// OpenBao's device does it: with Go's client, each entry for itself, with headers
// that are configured, and without reading the answer's body.

// posting returns a configuration with an HTTP server, and its URL.
func posting(t testing.TB, cfg *Config) (*Config, string) {
	t.Helper()
	var address string
	require.NoError(t, lab.OnFreePorts(t.Context(), 1, func(ports []int) error {
		address = fmt.Sprintf("127.0.0.1:%d", ports[0])
		return nil
	}))
	cfg.Audit.HTTP.GetOrInsertDefault().NetAddr.Endpoint = address
	return cfg, "http://" + address
}

// device posts as OpenBao does.
type device struct {
	client  *http.Client
	uri     string
	headers http.Header
}

func newDevice(t testing.TB, uri string) device {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return device{&http.Client{Transport: transport}, uri, http.Header{}}
}

// post returns the status and the version of HTTP.
func (d device) post(entry []byte) (status, version int, err error) {
	request, err := http.NewRequest(http.MethodPost, d.uri, bytes.NewReader(entry))
	if err != nil {
		return 0, 0, err
	}
	request.Header = d.headers.Clone()
	response, err := d.client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	return response.StatusCode, response.ProtoMajor, response.Body.Close()
}

func (d device) require(t *testing.T, want int, entry string) {
	t.Helper()
	status, _, err := d.post([]byte(entry))
	require.NoError(t, err)
	require.Equal(t, want, status)
}

// listens waits until it does.
func (d device) listens(t *testing.T, o *observedtest.Receiver) {
	t.Helper()
	o.Eventually(t, "it listens", func() bool {
		response, err := d.client.Get(d.uri)
		return err == nil && response.Body.Close() == nil
	})
}

// secured has the server ask for TLS and a token, and returns a device that has both.
func secured(t testing.TB, cfg *Config, uri string) (device, component.Host) {
	t.Helper()
	loopback := httptest.NewTLSServer(nil) // which has a certificate
	defer loopback.Close()
	certificate := loopback.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	files := configtls.NewDefaultServerConfig()
	files.CertPem = configopaque.String(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	files.KeyPem = configopaque.String(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	server := cfg.Audit.HTTP.Get()
	*server.TLS.GetOrInsertDefault() = files
	id := component.MustNewID("bearertokenauth")
	server.Auth.GetOrInsertDefault().AuthenticatorID = id

	d := newDevice(t, strings.Replace(uri, "http:", "https:", 1))
	trusted := x509.NewCertPool()
	trusted.AddCert(loopback.Certificate())
	d.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trusted}
	d.headers.Set("Authorization", "Bearer "+postToken)
	return d, extensions{id: authenticator{}}
}

const postToken = "planted-token-of-the-device"

type extensions map[component.ID]component.Component

func (e extensions) GetExtensions() map[component.ID]component.Component { return e }

// authenticator stands for an extension.
type authenticator struct {
	component.StartFunc
	component.ShutdownFunc
}

func (authenticator) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	if http.Header(sources).Get("Authorization") != "Bearer "+postToken {
		return ctx, fmt.Errorf("it is not %s", postToken) // as careless as can be
	}
	return ctx, nil
}

// recording returns the lines that a real Vault wrote.
func recording(t *testing.T) (lines [][]byte) {
	t.Helper()
	content, err := os.ReadFile("internal/audit/testdata/vault_1_19_5.jsonl")
	require.NoError(t, err)
	for line := range bytes.Lines(content) {
		lines = append(lines, line)
	}
	return lines
}

func TestEachEntryThatIsPostedIsTold(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP ", version), func(t *testing.T) {
			cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
			cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
			d, host := secured(t, cfg, uri)
			d.client.Transport.(*http.Transport).ForceAttemptHTTP2 = version == 2
			o := observedtest.StartOn(t, host, NewFactory(), cfg)
			d.listens(t, o)
			lines := recording(t)
			for _, line := range lines {
				status, got, err := d.post(line)
				require.NoError(t, err)
				require.Equal(t, http.StatusNoContent, status)
				require.Equal(t, version, got)
			}
			o.Eventually(t, "all", o.HasValue(int64(len(lines)), auditEntries, auditOutcome, "accepted"))
			requireOnce(t, "internal/audit/testdata/vault_1_19_5.jsonl", o)
			assert.NotEmpty(t, spansOf(o))
			o.Eventually(t, "its connection", o.HasValue(1, "vault.audit.connection.count"))
			d.client.CloseIdleConnections()
			o.Eventually(t, "its end", o.HasValue(0, "vault.audit.connection.count"))
			assert.NotContains(t, o.Trouble(), conditionHTTP)
			o.RequireNotTold(t, postToken, "PRIVATE KEY")
		})
	}
}

func TestWhatIsPostedAndWrittenIsToldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg, uri := posting(t, tailing(only("http://127.0.0.1:1", ""), path))
	o := observe(t, cfg)
	d := newDevice(t, uri)
	d.listens(t, o)
	lines := recording(t)
	for _, line := range lines {
		appendTo(t, path, string(line))
		d.require(t, http.StatusNoContent, string(line))
	}
	o.Eventually(t, "all of both", o.HasValue(int64(2*len(lines)), auditEntries, auditOutcome, "accepted"))
	requireOnce(t, path, o)
	o.Eventually(t, "one of them is a repetition", o.HasValue(int64(len(lines)), auditEntries, auditOutcome, "repeated"))
}

func TestWhoMayPost(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	good, host := secured(t, cfg, uri)
	good.client.Transport.(*http.Transport).ForceAttemptHTTP2 = false // HTTP/1.1 says in an answer that the connection ends.
	o := observedtest.StartOn(t, host, NewFactory(), cfg)
	good.listens(t, o)

	wrong := good
	wrong.headers = http.Header{"Authorization": {"Bearer planted-guess"}}
	nobody := good
	nobody.headers = http.Header{}
	for _, d := range []device{wrong, nobody} {
		d.require(t, http.StatusUnauthorized, entry("a", "request")+entry("a", "response"))
	}
	response, err := nobody.client.Post(nobody.uri, "", strings.NewReader(entry("a", "request")))
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, "Unauthorized\n", string(answer), "and nothing of what the extension says")
	assert.True(t, response.Close, "who is not let in holds no connection")

	_, _, err = newDevice(t, good.uri).post(nil)
	require.Error(t, err, "who does not know its certificate does not send")
	newDevice(t, uri).require(t, http.StatusBadRequest, entry("a", "request")) // without TLS

	good.require(t, http.StatusNoContent, entry("b", "request")+entry("b", "response"))
	o.Eventually(t, "only what was allowed", o.HasSpan("read kv/", "vault.request.id", "b"))
	o.Eventually(t, "and counted", o.HasValue(2, auditEntries, auditOutcome, "accepted"))
	assert.Empty(t, o.Spans("read kv/", "vault.request.id", "a"))
	o.RequireNotTold(t, postToken, "planted-guess")
}

func zipped(t *testing.T, what string) string {
	t.Helper()
	var all bytes.Buffer
	w := gzip.NewWriter(&all)
	_, err := io.WriteString(w, what)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return all.String()
}

func TestWhateverIsPosted(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	cfg.Audit.LongestLine = 100_000
	cfg.Audit.HTTP.Get().MaxRequestBodySize = 500_000
	o := observe(t, cfg)
	plain := newDevice(t, uri+"/any/path")
	plain.listens(t, o)
	encoded := func(algorithm string) device {
		d := plain
		d.headers = http.Header{"Content-Encoding": {algorithm}}
		return d
	}
	counts := map[string]int64{}
	for _, c := range []struct {
		name  string
		with  device
		body  string
		want  int
		count map[string]int64
	}{
		{"an entry", plain, entry("a", "request"), 204, map[string]int64{"accepted": 1}},
		{"an entry without its end", plain, strings.TrimSpace(entry("a", "response")), 204, map[string]int64{"accepted": 1}},
		{"entries", plain, entry("b", "request") + "\r\n\n" + entry("b", "response"), 204, map[string]int64{"accepted": 2}},
		{"an entry and what is none", plain, "{}\n" + entry("c", "request"), 204, map[string]int64{"malformed": 1, "accepted": 1}},
		{"nothing", plain, "", 400, nil},
		{"empty lines", plain, "\n \n", 400, nil},
		{"no entry", plain, "{}", 400, map[string]int64{"malformed": 1}},
		{"an entry with a prefix", plain, "@cee:" + entry("d", "request"), 400, map[string]int64{"malformed": 1}},
		{"garbage", plain, "\x00\xff\n" + strings.Repeat("[", 50_000), 400, map[string]int64{"malformed": 2}},
		{"a line that is too long", plain, strings.Repeat("x", 200_000) + "\n" + entry("c", "response"), 413, map[string]int64{"too_long": 1, "accepted": 1}},
		{"a body that is too long", plain, strings.Repeat("x", 5_000_000), 413, map[string]int64{"too_long": 1}},
		{"a compressed entry", encoded("gzip"), zipped(t, entry("e", "request")+entry("e", "response")), 204, map[string]int64{"accepted": 2}},
		{"a bomb", encoded("gzip"), zipped(t, strings.Repeat(" ", 5_000_000)), 413, map[string]int64{"too_long": 1}},
		{"what is not compressed", encoded("gzip"), entry("f", "request"), 400, map[string]int64{"malformed": 1}},
		{"half of what is compressed", encoded("gzip"), zipped(t, entry("g", "request"))[:60], 400, map[string]int64{"cut": 1}},
		{"what takes memory as it likes", encoded("zstd"), entry("h", "request"), 400, map[string]int64{"malformed": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.with.require(t, c.want, c.body)
			for outcome, n := range c.count {
				counts[outcome] += n
			}
			for _, outcome := range []string{"accepted", "malformed", "too_long", "cut", "dropped"} {
				o.Eventually(t, outcome, o.HasValue(counts[outcome], auditEntries, auditOutcome, outcome))
			}
		})
	}
	for _, id := range []string{"a", "b", "c", "e"} {
		o.Eventually(t, id, o.HasSpan("read kv/", "vault.request.id", id))
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		request, err := http.NewRequest(method, uri, strings.NewReader(entry("i", "request")))
		require.NoError(t, err)
		response, err := plain.client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
		assert.Equal(t, http.MethodPost, response.Header.Get("Allow"))
	}

	conn := dial(t, "tcp", strings.TrimPrefix(uri, "http://"))
	_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n%s", entry("j", "request")+entry("j", "response")[:50])
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	o.Eventually(t, "who ends in the middle", o.HasValue(counts["cut"]+1, auditEntries, auditOutcome, "cut"))
	o.Eventually(t, "what came before", o.HasValue(counts["accepted"]+1, auditEntries, auditOutcome, "accepted"))
}

// What was answered with 2xx is told, whenever the collector ends.
func TestWhatWasAnsweredIsToldAtShutdown(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	o := observedtest.Start(t, NewFactory(), cfg)
	newDevice(t, uri).listens(t, o)
	var devices sync.WaitGroup
	var mu sync.Mutex
	var answered []string
	for n := range 8 {
		d := newDevice(t, uri)
		devices.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(n, "-", i)
				status, _, err := d.post([]byte(entry(id, "request")))
				if err != nil || status != http.StatusNoContent {
					assert.True(t, err != nil || status == http.StatusServiceUnavailable, status)
					return
				}
				mu.Lock()
				answered = append(answered, id)
				mu.Unlock()
			}
		})
	}
	o.Eventually(t, "some", func() bool { mu.Lock(); defer mu.Unlock(); return len(answered) > 500 })
	o.Shutdown(t)
	devices.Wait()
	told := map[string]bool{}
	for _, span := range o.Spans("read kv/") {
		id, _ := span.Attributes().Get("vault.request.id")
		told[id.Str()] = true
	}
	untold := 0
	for _, id := range answered {
		if !told[id] {
			untold++
		}
	}
	assert.Zero(t, untold, "of %d", len(answered))
}

// A request that does not end holds Shutdown up no longer than others.
func TestAnUnfinishedRequestEndsWithTheCollector(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	o := observe(t, cfg)
	newDevice(t, uri).listens(t, o)
	conn := dial(t, "tcp", strings.TrimPrefix(uri, "http://"))
	_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n%s{", entry("a", "request"))
	require.NoError(t, err)
	o.Eventually(t, "what came", o.HasValue(1, auditEntries, auditOutcome, "accepted"))
	o.Shutdown(t)
	assert.True(t, o.HasSpan("read kv/", "vault.request.id", "a")())
}

func TestAServerThatCannotBeOpened(t *testing.T) {
	taken := httptest.NewServer(nil)
	defer taken.Close()
	for name, c := range map[string]struct {
		set  func(*Config)
		want string
	}{
		"address": {func(cfg *Config) { cfg.Audit.HTTP.Get().NetAddr.Endpoint = strings.TrimPrefix(taken.URL, "http://") }, "audit::http::endpoint "},
		"extension": {func(cfg *Config) {
			cfg.Audit.HTTP.Get().Auth.GetOrInsertDefault().AuthenticatorID = component.MustNewID("absent")
		}, `audit::http cannot be set up: failed to resolve authenticator "absent"`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := posting(t, only("http://127.0.0.1:1", ""))
			cfg, address := listening(t, cfg)
			c.set(cfg)
			w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
			require.NoError(t, err)
			require.ErrorContains(t, w.audit.open(t.Context(), extensions{}), c.want)
			again, err := net.Listen("tcp", address)
			require.NoError(t, err, "the socket is closed again")
			require.NoError(t, again.Close())
		})
	}
}
