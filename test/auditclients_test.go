// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const requestsGuide = "../docs/guides/vault-requests.md"

// askedVault is a Vault that clients of all kinds may ask, with devices for what
// they ask as the guide turns them on.
type askedVault struct {
	*lab.Vault

	client *api.Client
	file   string // of its audit device
	socket string // address of the other one
}

// startAskedVault starts it with the file device only, as somebody has to listen
// when the other one is enabled.
func startAskedVault(t *testing.T, dir, socket string) *askedVault {
	t.Helper()
	server, err := lab.StartVault(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	v := &askedVault{Vault: server, file: filepath.Join(dir, "audit.log"), socket: socket}
	v.client, err = api.NewClient(&api.Config{Address: server.Addr})
	require.NoError(t, err)
	v.client.SetToken(server.RootToken)
	for _, engine := range []string{"kv", "transit", "pki"} {
		require.NoError(t, v.client.Sys().Mount(engine, &api.MountInput{Type: engine}))
	}
	for path, data := range map[string]map[string]any{
		"transit/keys/key":           nil,
		"pki/root/generate/internal": {"common_name": "authority", "key_type": "ec"},
		"pki/roles/web":              {"allow_any_name": true, "key_type": "ec", "no_store": true},
	} {
		_, err := v.client.Logical().Write(path, data)
		require.NoError(t, err)
	}
	v.enable(t, "file")
	return v
}

var guidedDevice = regexp.MustCompile(`(?m)^ *vault audit enable (?:-path=\S+ )?(\S+) (.*)$`)

// enable enables the device of that type as the guide does, but elsewhere.
func (v *askedVault) enable(t *testing.T, device string) {
	t.Helper()
	guide, err := os.ReadFile(requestsGuide)
	require.NoError(t, err)
	options := map[string]map[string]string{}
	for _, match := range guidedDevice.FindAllStringSubmatch(string(guide), -1) {
		options[match[1]] = map[string]string{}
		for option := range strings.FieldsSeq(match[2]) {
			key, value, _ := strings.Cut(option, "=")
			options[match[1]][key] = value
		}
	}
	require.ElementsMatch(t, []string{"file", "socket"}, slices.Collect(maps.Keys(options)))
	options["file"]["file_path"], options["socket"]["address"] = v.file, v.socket
	require.Contains(t, options["socket"], "write_timeout")
	require.NoError(t, v.client.Sys().EnableAuditWithOptions(device, &api.EnableAuditOptions{Type: device, Options: options[device]}))
}

// write writes a key, by which its request can be found.
func (v *askedVault) write(t *testing.T, key string) {
	t.Helper()
	_, err := v.client.Logical().Write(key, map[string]any{"field": "value"})
	require.NoError(t, err)
}

// ask has clients of all kinds ask until ended is called, which requires that
// nothing was refused.
func (v *askedVault) ask(t *testing.T) (l *load, ended func()) {
	t.Helper()
	ctx, enough := context.WithCancel(t.Context())
	l = &load{}
	var clients sync.WaitGroup
	for name, requests := range map[string]func(int) []func() error{"kv": v.keys, "token": v.tokens, "transit": v.transit, "pki": v.pki} {
		for c := range 2 {
			clients.Go(func() {
				for ctx.Err() == nil {
					for _, request := range requests(c) {
						begun := time.Now()
						err := request()
						l.took(time.Since(begun))
						if !assert.NoError(t, err, name) {
							break
						}
					}
				}
			})
		}
	}
	return l, sync.OnceFunc(func() { enough(); clients.Wait() })
}

func (v *askedVault) keys(c int) []func() error {
	key := fmt.Sprintf("kv/key-%d", c)
	return []func() error{
		func() error { _, err := v.client.Logical().Write(key, map[string]any{"field": "value"}); return err },
		func() error { _, err := v.client.Logical().Read(key); return err },
	}
}

func (v *askedVault) tokens(int) []func() error {
	var token string
	return []func() error{
		func() error {
			made, err := v.client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: "1h"})
			if err == nil {
				token = made.Auth.ClientToken
			}
			return err
		},
		func() error { return v.client.Auth().Token().RevokeTree(token) },
	}
}

func (v *askedVault) transit(int) []func() error {
	var ciphertext any
	return []func() error{
		func() error {
			answer, err := v.client.Logical().Write("transit/encrypt/key", map[string]any{"plaintext": "dmFsdWU="})
			if err == nil {
				ciphertext = answer.Data["ciphertext"]
			}
			return err
		},
		func() error {
			answer, err := v.client.Logical().Write("transit/decrypt/key", map[string]any{"ciphertext": ciphertext})
			if err == nil && answer.Data["plaintext"] != "dmFsdWU=" {
				err = errors.New("another plaintext")
			}
			return err
		},
	}
}

func (v *askedVault) pki(int) []func() error {
	return []func() error{func() error {
		_, err := v.client.Logical().Write("pki/issue/web", map[string]any{"common_name": "web.example", "ttl": "1h"})
		return err
	}}
}

// load is what clients ask.
type load struct {
	requests atomic.Int64
	slowest  atomic.Int64 // since it was asked last, in nanoseconds
}

func (l *load) took(d time.Duration) {
	l.requests.Add(1)
	for {
		slowest := l.slowest.Load()
		if int64(d) <= slowest || l.slowest.CompareAndSwap(slowest, int64(d)) {
			return
		}
	}
}

// during measures how many requests end in a second, and how long the slowest of
// those takes that end meanwhile.
func (l *load) during(d time.Duration) (rate float64, slowest time.Duration) {
	begun, before := time.Now(), l.requests.Load()
	l.slowest.Store(0)
	time.Sleep(d)
	return float64(l.requests.Load()-before) / time.Since(begun).Seconds(), time.Duration(l.slowest.Load())
}
