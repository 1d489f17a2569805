// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

func TestVaultLeasesComeAndGo(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Vault; run without -short")
	}
	server, err := lab.StartVault(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop(context.Background())) }()
	s := &Workload{Lab: &lab.Lab{Vault: server}, Progress: func(line string) { t.Log(line) }}
	require.NoError(t, s.prepareVault(t.Context()))
	token, err := server.TokenFor(t.Context(), "observer", `path "sys/mounts" { capabilities = ["read"] }`)
	require.NoError(t, err)
	observer, err := api.NewClient(&api.Config{Address: server.Addr})
	require.NoError(t, err)
	observer.SetToken(token)
	mounts, err := observer.Sys().ListMountsWithContext(t.Context())
	require.NoError(t, err)
	require.Contains(t, mounts, PKIMount+"/")
	_, err = observer.Sys().ListAuthWithContext(t.Context())
	require.ErrorContains(t, err, "permission denied")

	client, err := server.Client(0)
	require.NoError(t, err)
	require.NoError(t, s.vault(t.Context()))
	certificates, err := client.Logical().ListWithContext(t.Context(), PKIMount+"/certs")
	require.NoError(t, err)
	require.Len(t, certificates.Data["keys"], 2, "the authority's and the issued one")
	for _, prefix := range []string{CertificateLeases, LoginLeases} {
		left, err := client.Logical().ListWithContext(t.Context(), "sys/leases/lookup/"+prefix)
		require.NoError(t, err)
		require.Nil(t, left, prefix)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.vault(ctx), context.Canceled)
}
