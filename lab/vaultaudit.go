// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/api"
)

// Audit enables an audit device. Vault writes to it at once: one of type socket needs
// somebody who listens.
func (v *Vault) Audit(ctx context.Context, path, kind string, options map[string]string) error {
	client, err := v.Client(0)
	if err != nil {
		return err
	}
	if err := client.Sys().EnableAuditWithOptionsWithContext(ctx, path, &api.EnableAuditOptions{Type: kind, Options: options}); err != nil {
		return fmt.Errorf("enable the audit device %s: %w", path, err)
	}
	return nil
}

// AuditHeader has audit entries hold a header of requests, as it is.
func (v *Vault) AuditHeader(ctx context.Context, header string) error {
	client, err := v.Client(0)
	if err != nil {
		return err
	}
	_, err = client.Logical().WriteWithContext(ctx, "sys/config/auditing/request-headers/"+header, map[string]any{"hmac": false})
	if err != nil {
		return fmt.Errorf("audit the header %s: %w", header, err)
	}
	return nil
}
