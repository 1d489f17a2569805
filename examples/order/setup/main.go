// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// setup writes what the services need into Consul, etcd and Vault. VAULT_TOKEN must be able to mount secrets engines and
// write policies. The role_id and the secret_id of the worker are written to the folder SETUP_DIR. It can be run again:
// the stock is filled up then, and the worker gets another secret_id.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	vaultapi "github.com/hashicorp/vault/api"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
	"github.com/otelcol-infra/otelcol-infra/examples/order/etcd"
	"github.com/otelcol-infra/otelcol-infra/examples/order/vault"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	err := errors.Join(writeConsul(ctx), writeEtcd(ctx), writeVault(ctx, cmp.Or(os.Getenv("SETUP_DIR"), ".")))
	cancel()
	if err != nil {
		slog.Error("setup is not complete", "error", err)
		os.Exit(1)
	}
	slog.Info("consul, etcd and vault are set up")
}

func writeConsul(ctx context.Context) error {
	client, err := consulapi.NewClient(consulapi.DefaultConfig())
	if err != nil {
		return fmt.Errorf("make a client of consul: %w", err)
	}
	pair := &consulapi.KVPair{Key: order.MaxQuantityKey, Value: []byte("5")}
	if _, err := client.KV().Put(pair, (&consulapi.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("write key %s to consul: %w", pair.Key, err)
	}
	return nil
}

func writeEtcd(ctx context.Context) error {
	client, err := etcd.New()
	if err != nil {
		return err
	}
	defer client.Close()
	for key, value := range map[string]string{
		"/order/stock/pen":        "1000",
		"/order/stock/book":       "1000",
		"/order/stock/lamp":       "0",
		"/order/config/lock_hold": "20ms",
	} {
		if _, err := client.Put(ctx, key, value); err != nil {
			return fmt.Errorf("write key %s to etcd: %w", key, err)
		}
	}
	return nil
}

func writeVault(ctx context.Context, dir string) error {
	client, err := vault.Connect()
	if err != nil {
		return err
	}
	client.SetToken(os.Getenv("VAULT_TOKEN"))
	if err := mount(ctx, client); err != nil {
		return err
	}

	// The versioned engine needs a moment after it was mounted.
	secret := map[string]any{"key": "example-payment-key"}
	for {
		_, err := client.KVv2(order.SecretsMount).Put(ctx, order.PaymentSecret, secret)
		if err == nil {
			break
		}
		var answer *vaultapi.ResponseError
		if !errors.As(err, &answer) || answer.StatusCode != 400 || ctx.Err() != nil {
			return fmt.Errorf("write secret %s to vault's %s: %w", order.PaymentSecret, order.SecretsMount, err)
		}
		time.Sleep(200 * time.Millisecond)
	}

	role := "auth/approle/role/" + order.WorkerRole
	for _, write := range []struct {
		path string
		data map[string]any
	}{
		{order.CredentialsMount + "/" + order.DatabaseSecret,
			map[string]any{"username": "orders", "password": "example-password", "ttl": "15s"}},
		{order.TransitMount + "/keys/" + order.CardsKey, nil},
		{"sys/policies/acl/" + order.WorkerRole, map[string]any{"policy": order.WorkerPolicy}},
		{role, map[string]any{"token_policies": order.WorkerRole, "token_ttl": "60s", "token_max_ttl": "30m"}},
		// Audit devices write the header as it came, so that Vault's requests are found in the traces of their callers.
		{"sys/config/auditing/request-headers/traceparent", map[string]any{"hmac": false}},
	} {
		if _, err := client.Logical().WriteWithContext(ctx, write.path, write.data); err != nil {
			return fmt.Errorf("write %s to vault: %w", write.path, err)
		}
	}

	roleID, err := client.Logical().ReadWithContext(ctx, role+"/role-id")
	if err != nil {
		return fmt.Errorf("read the role ID of %s from vault: %w", role, err)
	}
	secretID, err := client.Logical().WriteWithContext(ctx, role+"/secret-id", nil)
	if err != nil {
		return fmt.Errorf("make a secret ID of %s in vault: %w", role, err)
	}
	ids := maps.Clone(roleID.Data)
	maps.Copy(ids, secretID.Data)
	for _, name := range []string{"role_id", "secret_id"} {
		id, ok := ids[name].(string)
		if !ok {
			return fmt.Errorf("read the IDs of %s from vault: the answer has no %s", role, name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(id), 0o600); err != nil {
			return fmt.Errorf("write %s, check SETUP_DIR: %w", name, err)
		}
	}
	return nil
}

// mount mounts the secrets engines and AppRole that are not there yet.
func mount(ctx context.Context, client *vaultapi.Client) error {
	mounts, err := client.Sys().ListMountsWithContext(ctx)
	if err != nil {
		return fmt.Errorf("list vault's mounts, check VAULT_TOKEN: %w", err)
	}
	for path, engine := range map[string]*vaultapi.MountInput{
		order.SecretsMount: {Type: "kv", Options: map[string]string{"version": "2"}},
		order.CredentialsMount: {Type: "kv", Options: map[string]string{"leased_passthrough": "true"},
			Config: vaultapi.MountConfigInput{MaxLeaseTTL: "10m"}},
		order.TransitMount: {Type: "transit"},
	} {
		if mounts[path+"/"] != nil {
			continue
		}
		if err := client.Sys().MountWithContext(ctx, path, engine); err != nil {
			return fmt.Errorf("mount %s in vault: %w", path, err)
		}
	}
	methods, err := client.Sys().ListAuthWithContext(ctx)
	if err != nil {
		return fmt.Errorf("list vault's auth methods: %w", err)
	}
	if methods["approle/"] != nil {
		return nil
	}
	if err := client.Sys().EnableAuthWithOptionsWithContext(ctx, "approle", &vaultapi.MountInput{Type: "approle"}); err != nil {
		return fmt.Errorf("enable AppRole in vault: %w", err)
	}
	return nil
}
