// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/hashicorp/vault/api"
)

// Vault is one Vault server with raft storage, initialised and unsealed: like a
// production one, but for TLS. A restart keeps its state.
type Vault struct {
	*Server
	// Addr is the URL of the API, such as "http://127.0.0.1:12001".
	Addr string
	// RootToken is the token that may do everything. Do not log it.
	RootToken string
	// UnsealKeys holds the one key that unseals. Do not log it.
	UnsealKeys []string
}

// StartVault starts a server, initialises it with one key share, unseals it,
// and waits until it is active.
func StartVault(ctx context.Context, opts ServerOptions) (*Vault, error) {
	v := &Vault{}
	server, err := startServer(ctx, "vault", 2, opts, func(home string, ports []int) (launch, error) {
		v.Addr = "http://" + loopback(ports[0])
		data := filepath.Join(home, "data")
		if err := os.Mkdir(data, 0o700); err != nil {
			return launch{}, err
		}
		file := filepath.Join(home, "vault.hcl")
		config := vaultConfig("lab-1", data, ports[0], ports[1]) + opts.ExtraHCL
		return launch{args: []string{"server", "-config=" + file}, ready: v.answers},
			os.WriteFile(file, []byte(config), 0o600)
	})
	if err != nil {
		return nil, err
	}
	v.Server = server
	if err := v.initialise(ctx); err != nil {
		err = fmt.Errorf("%w; its log %s ends with\n%s", err, v.Process().LogPath(), v.LogTail(errorTail))
		return nil, errors.Join(err, v.Kill())
	}
	return v, nil
}

// vaultConfig is the configuration of one node. mlock is off as it would need a
// privilege; hostnames are off so that metric names do not differ by machine.
func vaultConfig(node, data string, port, clusterPort int) string {
	return fmt.Sprintf(`
storage "raft" {
  node_id                = %q
  path                   = %q
  performance_multiplier = 1
}
listener "tcp" {
  address         = %[3]q
  cluster_address = %[4]q
  tls_disable     = true
}
telemetry {
  prometheus_retention_time = "24h"
  disable_hostname          = true
  usage_gauge_period        = "10s"
}
api_addr      = "http://%[3]s"
cluster_addr  = "https://%[4]s"
disable_mlock = true
ui            = false
log_level     = "warn"
`, node, data, loopback(port), loopback(clusterPort))
}

// answers is nil when the API answers, be Vault sealed or not.
func (v *Vault) answers(ctx context.Context) error {
	_, err := v.health(ctx)
	return err
}

// health is 200 when active, 501 when not initialised, 503 when sealed.
func (v *Vault) health(ctx context.Context) (int, error) {
	status, _, err := get(ctx, v.Addr+"/v1/sys/health", nil)
	return status, err
}

func (v *Vault) initialise(ctx context.Context) error {
	client, err := v.client()
	if err != nil {
		return err
	}
	keys, err := client.Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return fmt.Errorf("initialise vault: %w", err)
	}
	v.RootToken, v.UnsealKeys = keys.RootToken, keys.KeysB64
	return v.Unseal(ctx)
}

// client is an API client with the root token; without one before initialisation.
func (v *Vault) client() (*api.Client, error) {
	// A client of its own, as NewClient changes the one it is given.
	own := &http.Client{Transport: probeClient.Transport}
	client, err := api.NewClient(&api.Config{Address: v.Addr, HttpClient: own})
	if err != nil {
		return nil, fmt.Errorf("make a vault client: %w", err)
	}
	client.SetToken(v.RootToken) // NewClient takes both from the environment
	client.ClearNamespace()
	return client, nil
}

// Seal seals the server: it then answers nothing but its state, until Unseal.
func (v *Vault) Seal(ctx context.Context) error {
	client, err := v.client()
	if err != nil {
		return err
	}
	if err := client.Sys().SealWithContext(ctx); err != nil {
		return fmt.Errorf("seal vault: %w", err)
	}
	return nil
}

// Unseal unseals the server, and waits until it is active.
func (v *Vault) Unseal(ctx context.Context) error {
	client, err := v.client()
	if err != nil {
		return err
	}
	for _, key := range v.UnsealKeys {
		if _, err := client.Sys().UnsealWithContext(ctx, key); err != nil {
			return fmt.Errorf("unseal vault: %w", err)
		}
	}
	return waitReady(ctx, v.Process(), func(ctx context.Context) error {
		status, err := v.health(ctx)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("vault is not active: /v1/sys/health answers %d", status)
		}
		return err
	})
}

// Restart restarts the server like [Server.Restart], and unseals it.
func (v *Vault) Restart(ctx context.Context) error {
	if err := v.Server.Restart(ctx); err != nil {
		return err
	}
	return v.Unseal(ctx)
}
