// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

func TestWhatIsDeniedOfPKIIsAskedForAgainAtItsOwnPace(t *testing.T) {
	cfg := only("http://127.0.0.1:8200", "planted")
	cfg.PKI.Mounts, cfg.PKI.Interval = []string{"pki"}, time.Hour
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	now := time.Now()
	for _, endpoint := range newPKI(w).mounts[0].endpoints() {
		w.endpoints.set(now, endpoint, explainDenial(endpoint, "read", "permission denied"))
		assert.True(t, w.endpoints.off(now.Add(5*time.Hour), endpoint), endpoint)
		assert.False(t, w.endpoints.off(now.Add(6*time.Hour), endpoint), endpoint)
	}
}

// A mount that is not there is denied as one that may not be used, and each such
// request is audited.
func TestAMountThatIsDeniedIsAskedForAgainAtItsOwnPace(t *testing.T) {
	cfg := only(serve(t, map[string]http.Handler{endpointMount + "/pki": recorded{403, "denied_403.json"}}).URL, "planted")
	cfg.PKI.Mounts, cfg.PKI.Interval, cfg.PKI.RequestsPerSecond = []string{"pki"}, time.Hour, 1000
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	w.client = clientOf(t, cfg)
	p := newPKI(w)
	assert.Equal(t, deniedEvery*time.Hour, p.list(t.Context(), p.mounts[0]))
}

// pkiFake is a server that answers as Vault does, of certificates of several mounts.
type pkiFake struct {
	url      string
	standsBy atomic.Bool

	mu      sync.Mutex
	revoked map[string]time.Time // by serial number
	faulty  map[string]bool      // by mount and serial number
}

// newPKIFake returns one that has these certificates in each mount.
func newPKIFake(t *testing.T, mounts []string, certificates ...string) *pkiFake {
	t.Helper()
	f := &pkiFake{revoked: map[string]time.Time{}, faulty: map[string]bool{}}
	text := newCertificate(t)
	answer := func(w http.ResponseWriter, data any) {
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"data": data}))
	}
	handlers := map[string]http.Handler{
		"sys/health": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if f.standsBy.Load() {
				recorded{429, "health_429_standby.json"}.ServeHTTP(w, r)
			} else {
				recorded{200, "health_200_active.json"}.ServeHTTP(w, r)
			}
		}),
	}
	for _, mount := range mounts {
		handlers[endpointMount+"/"+mount] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, map[string]any{"type": "pki", "path": mount + "/", "config": map[string]any{"max_lease_ttl": 2764800}})
		})
		handlers[mount+"/issuers"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { nothing(w) })
		handlers[mount+"/certs"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, map[string]any{"keys": certificates})
		})
		handlers[mount+"/certs/revoked"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			var keys []string
			for serial := range f.revoked {
				keys = append(keys, serial)
			}
			if len(keys) == 0 {
				nothing(w)
				return
			}
			slices.Sort(keys)
			answer(w, map[string]any{"keys": keys})
		})
		handlers[mount+"/cert/"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serial := strings.TrimPrefix(r.URL.Path, "/v1/"+mount+"/cert/")
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.faulty[mount+" "+serial] {
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = w.Write([]byte(`{"errors":["it cannot be served"]}`))
				return
			}
			data := map[string]any{"certificate": text, "revocation_time": 0}
			if at := f.revoked[serial]; !at.IsZero() {
				data["revocation_time"] = at.Unix()
				data["revocation_time_rfc3339"] = at.Format(time.RFC3339Nano)
			}
			answer(w, data)
		})
	}
	f.url = serve(t, handlers).URL
	return f
}

func newCertificate(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example.com"}, DNSNames: []string{"a.example.com"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(2 * time.Hour),
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "root"}, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (f *pkiFake) revoke(serial string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked[serial] = time.Now()
}

func (f *pkiFake) fault(certificate string, is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faulty[certificate] = is
}

func (f *pkiFake) config(mounts ...string) *Config {
	cfg := only(f.url, "planted")
	cfg.PKI.Mounts, cfg.PKI.Interval, cfg.PKI.RequestsPerSecond = mounts, 200*time.Millisecond, 1000
	cfg.PKI.Roles = false
	return cfg
}

func TestWhatAnotherNodeHasToldOfPKIIsNotToldAfterARestart(t *testing.T) {
	vault := newPKIFake(t, []string{"pki"}, "00:01", "00:02", "00:03")
	dir := t.TempDir()
	start := func() *observedtest.Receiver { return startStored(t, vault.config("pki"), dir) }
	read := func(o *observedtest.Receiver) func() bool { return o.HasValue(0, "vault.pki.certificate.unread.count") }
	o := start()
	o.Eventually(t, "what it knows", read(o))
	vault.revoke("00:03")
	o.Eventually(t, "it tells and stores", o.HasEvent("vault.pki.certificate.revoked", serialAttr, "00:03"))
	o.Shutdown(t)

	vault.standsBy.Store(true)
	o = start()
	o.Eventually(t, "it stands by", o.HasValue(0, "vault.active"))
	vault.revoke("00:01")
	vault.standsBy.Store(false)
	o.Eventually(t, "it leads again", o.HasValue(2, "vault.pki.revoked.count"))
	o.Eventually(t, "all is read", read(o))
	vault.revoke("00:02")
	o.Eventually(t, "what is revoked in its term", o.HasEvent("vault.pki.certificate.revoked", serialAttr, "00:02"))
	o.Shutdown(t)
	assert.Len(t, o.Events("vault.pki.certificate.revoked"), 1)
}

func TestACertificateThatVaultCannotServeHoldsNothingBack(t *testing.T) {
	vault := newPKIFake(t, []string{"one", "two"}, "00:01", "00:02", "00:03")
	vault.fault("one 00:01", true)
	cfg := vault.config("one", "two")
	o := observe(t, cfg, "planted")
	o.Eventually(t, "those after it", o.HasValue(2, "vault.pki.certificate.count", mountAttr, "one/", "vault.expiry", "day"))
	o.Eventually(t, "it is left", o.HasValue(1, "vault.pki.certificate.unread.count", mountAttr, "one/"))
	o.Eventually(t, "those of the other mount", o.HasValue(3, "vault.pki.certificate.count", mountAttr, "two/", "vault.expiry", "day"))
	want := "one/: certificate 00:01 cannot be read, and is asked for again"
	o.Eventually(t, want, func() bool { return strings.Contains(o.Trouble(), want) })
	assert.True(t, o.HasValue(1, "vault.endpoint.up", "vault.endpoint", "one/cert/+")(), "others can be read")
	assert.NotContains(t, o.Trouble(), "two/")
	vault.fault("one 00:01", false)
	o.Eventually(t, "it is read", o.HasValue(3, "vault.pki.certificate.count", mountAttr, "one/", "vault.expiry", "day"))
	o.Eventually(t, "all is well", func() bool { return !strings.Contains(o.Trouble(), "one/") })
}
