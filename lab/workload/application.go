// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	vault "github.com/hashicorp/vault/api"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/otelcol-infra/otelcol-infra/lab/shop"
)

// What the application does in Vault, in a trace of its own.
const (
	Application = shop.Service // its service name
	Order       = "order"      // its span around the requests
	Secrets     = "shop"       // the secrets engine that it uses
	Secret      = Secrets + "/payment"
)

// Customers are those of the shop.
const (
	Customers     = 6
	visitsPerPace = 3
)

// callVault has an application that is instrumented with OpenTelemetry write a
// secret and read it, while Vault writes to its audit devices.
func (s *Workload) callVault(ctx context.Context) (err error) {
	if err := s.auditVault(ctx); err != nil {
		return err
	}
	provider, err := shop.Provider(ctx, s.OTLP)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, provider.Shutdown(context.WithoutCancel(ctx))) }()

	client, err := s.Lab.Vault.Client(0)
	if err != nil {
		return err
	}
	config := client.CloneConfig()
	config.HttpClient.Transport = otelhttp.NewTransport(config.HttpClient.Transport,
		otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{}))
	traced, err := vault.NewClient(config)
	if err != nil {
		return fmt.Errorf("make the application's client: %w", err)
	}
	traced.SetToken(client.Token())

	s.report("vault: an application writes a secret and reads it, in a trace of its own")
	ctx, span := provider.Tracer(Application).Start(ctx, Order)
	defer span.End()
	if _, err := traced.Logical().WriteWithContext(ctx, Secret, map[string]any{"card": password}); err != nil {
		return fmt.Errorf("write %s: %w", Secret, err)
	}
	if _, err := traced.Logical().ReadWithContext(ctx, Secret); err != nil {
		return fmt.Errorf("read %s: %w", Secret, err)
	}
	return nil
}

// serve has customers visit the shop, one after the other, for as long as it
// takes until who scrapes it has seen it grow.
func (s *Workload) serve(ctx context.Context) error {
	s.report(fmt.Sprintf("shop: %d customers visit it, one after the other", Customers))
	for range Customers {
		if err := s.Shop.Visit(ctx); err != nil {
			return err
		}
		if err := pause(ctx, s.Pace/visitsPerPace); err != nil {
			return err
		}
	}
	return nil
}

// auditVault enables a file device, as anybody should, and beside it one that sends
// to the observer, with the headers of traces.
func (s *Workload) auditVault(ctx context.Context) error {
	v := s.Lab.Vault
	if err := errors.Join(
		v.Audit(ctx, "file", "file", map[string]string{"file_path": filepath.Join(s.Lab.Dir, "vault-audit.log")}),
		v.Audit(ctx, "otelcol", "socket", map[string]string{"address": s.Audit, "socket_type": "tcp", "write_timeout": "100ms"}),
		v.AuditHeader(ctx, "traceparent"),
	); err != nil {
		return err
	}
	client, err := v.Client(0)
	if err != nil {
		return err
	}
	if err := client.Sys().MountWithContext(ctx, Secrets, &vault.MountInput{Type: "kv"}); err != nil {
		return fmt.Errorf("mount %s: %w", Secrets, err)
	}
	return nil
}
