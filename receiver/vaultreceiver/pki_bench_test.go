// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaultreceiver

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// What it costs to read certificates from a real Vault: each operation is a start
// of the receiver, which reads all of them.
func BenchmarkPKI(b *testing.B) {
	const many = 2000
	vault, err := lab.StartVault(b.Context(), lab.ServerOptions{})
	require.NoError(b, err)
	defer func() { require.NoError(b, vault.Stop(context.Background())) }()
	client, err := vault.Client(0)
	require.NoError(b, err)
	require.NoError(b, client.Sys().Mount("pki", &api.MountInput{Type: "pki"}))
	for path, data := range map[string]map[string]any{
		"pki/root/generate/internal": {"common_name": "Root", "key_type": "ec", "ttl": "700h"},
		"pki/roles/web":              {"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec"},
	} {
		_, err = client.Logical().WriteWithContext(b.Context(), path, data)
		require.NoError(b, err)
	}
	var issuing errgroup.Group
	issuing.SetLimit(4)
	for range many {
		issuing.Go(func() error {
			_, err := client.Logical().WriteWithContext(b.Context(), "pki/issue/web", map[string]any{"common_name": "a.example.com", "ttl": "2h"})
			return err
		})
	}
	require.NoError(b, issuing.Wait())
	var used time.Duration
	for b.Loop() {
		cfg := only(vault.Addr, vault.RootToken)
		cfg.Token = configopaque.String(vault.RootToken)
		cfg.PKI.Mounts, cfg.PKI.RequestsPerSecond = []string{"pki"}, 1000
		before := processorTime()
		w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
		require.NoError(b, err)
		require.NoError(b, w.Start(b.Context(), componenttest.NewNopHost()))
		p := w.domains[0].(*pki)
		require.Eventually(b, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			counts := p.mounts[0].state.Count(time.Now(), time.Hour)
			return counts.CertificatesKnown && counts.Unread == 0
		}, time.Minute, 100*time.Millisecond)
		used += processorTime() - before
		require.NoError(b, w.Shutdown(context.Background()))
	}
	b.ReportMetric(float64(used.Microseconds())/float64(b.N)/many, "cpu-µs/certificate")
}

// processorTime is that of this process.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
