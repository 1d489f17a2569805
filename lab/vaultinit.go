// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/vault/api"
)

// Initialise makes the keys, unseals the first member, and has the others join
// it. [StartVault] does it, unless asked for an uninitialised Vault.
func (v *Vault) Initialise(ctx context.Context) error {
	client, err := v.Client(0)
	if err != nil {
		return err
	}
	keys, err := client.Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return fmt.Errorf("initialise vault: %w", err)
	}
	v.RootToken, v.UnsealKeys = keys.RootToken, keys.KeysB64
	if err := v.unseal(ctx, 0); err != nil {
		return err
	}
	active := func(ctx context.Context) error {
		_, err := v.Leader(ctx)
		return err
	}
	if err := waitReady(ctx, v.Process(), active); err != nil {
		return err
	}
	for i := 1; i < len(v.Members); i++ {
		if err := v.join(ctx, i); err != nil {
			return err
		}
	}
	if len(v.Members) == 1 {
		return nil
	}
	return waitReady(ctx, v.Process(), v.voters)
}

// join has member i join the first one. It asks for that, as retry_join in the
// configuration tries every two seconds only, and twice at least.
func (v *Vault) join(ctx context.Context, i int) error {
	client, err := v.Client(i)
	if err != nil {
		return err
	}
	request := &api.RaftJoinRequest{LeaderAPIAddr: v.Addr}
	if v.TLS != (TLSFiles{}) {
		for field, file := range map[*string]string{
			&request.LeaderCACert: v.TLS.CA, &request.LeaderClientCert: v.TLS.Cert, &request.LeaderClientKey: v.TLS.Key,
		} {
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			*field = string(content)
		}
	}
	if _, err := client.Sys().RaftJoinWithContext(ctx, request); err != nil {
		return fmt.Errorf("have %s join: %w", v.Members[i].name, err)
	}
	return v.unseal(ctx, i) // a member joins with the key, not before
}

// voters is nil when the first member finds all to be healthy voters. One that
// just joined is neither, and could not take over.
func (v *Vault) voters(ctx context.Context) error {
	client, err := v.Client(0)
	if err != nil {
		return err
	}
	state, err := client.Sys().RaftAutopilotStateWithContext(ctx)
	if err != nil {
		return err
	}
	if state == nil || !state.Healthy || len(state.Voters) != len(v.Members) {
		return errors.New("not all vault servers are healthy voters")
	}
	return nil
}
