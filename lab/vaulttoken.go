// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/api"
)

// TokenFor writes a policy of this name, and returns a token that has this policy
// only. The token lasts for as long as it is renewed, and for a day otherwise.
func (v *Vault) TokenFor(ctx context.Context, name, policy string) (string, error) {
	client, err := v.Client(0)
	if err != nil {
		return "", err
	}
	if err := client.Sys().PutPolicyWithContext(ctx, name, policy); err != nil {
		return "", fmt.Errorf("write policy %s: %w", name, err)
	}
	secret, err := client.Auth().Token().CreateOrphanWithContext(ctx, &api.TokenCreateRequest{
		Policies: []string{name}, NoDefaultPolicy: true, Period: "24h",
	})
	if err != nil {
		return "", fmt.Errorf("create a token with policy %s: %w", name, err)
	}
	return secret.Auth.ClientToken, nil
}
