// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
)

// Vault is one or three Vault servers with raft storage, initialised and unsealed
// unless asked otherwise: like production ones. A restart keeps their state.
type Vault struct {
	// Server is the first of the members, and the only one unless asked otherwise.
	*Server
	*Cluster
	// Addr is the URL of the API of the first member, such as "http://127.0.0.1:12001".
	Addr string
	// Addrs are those of all, in the order of Members.
	Addrs []string
	// TLS is what a client needs; empty without TLS.
	TLS TLSFiles
	// RootToken is the token that may do everything. Do not log it.
	RootToken string
	// UnsealKeys holds the one key that unseals every member. Do not log it.
	UnsealKeys []string

	http *http.Client
}

// StartVault starts the servers, initialises the first with one key share, lets
// the others join it, and waits until one is active and the others stand by as
// voters. The nodes are "lab-1" to "lab-3".
func StartVault(ctx context.Context, opts ServerOptions) (*Vault, error) {
	v := &Vault{http: probeClient}
	cluster, err := startCluster(ctx, "vault", 2, opts, func(places []place) ([]launch, error) {
		return v.prepare(places, opts)
	})
	if err != nil {
		return nil, err
	}
	v.Cluster, v.Server = cluster, cluster.Members[0]
	if err := v.bringUp(ctx, opts); err != nil {
		for _, member := range v.Members {
			err = fmt.Errorf("%w; the log %s ends with\n%s", err, member.Process().LogPath(), member.LogTail(errorTail))
			err = errors.Join(err, member.Kill())
		}
		return nil, err // a folder of its own stays, for the logs
	}
	return v, nil
}

func (v *Vault) bringUp(ctx context.Context, opts ServerOptions) error {
	if opts.Uninitialised {
		return nil
	}
	if err := v.Initialise(ctx); err != nil {
		return err
	}
	if opts.Sealed {
		return v.Seal(ctx)
	}
	return nil
}

// Client is an API client of member i with the root token; without one before
// Vault is initialised. It leaves no connections behind.
func (v *Vault) Client(i int) (*api.Client, error) {
	// A client of its own, as NewClient changes the one it is given.
	own := &http.Client{Transport: v.http.Transport}
	client, err := api.NewClient(&api.Config{Address: v.Addrs[i], HttpClient: own})
	if err != nil {
		return nil, fmt.Errorf("make a vault client: %w", err)
	}
	client.SetToken(v.RootToken) // NewClient takes both from the environment
	client.ClearNamespace()
	return client, nil
}

// Leader is the index in Members of the active one. It asks each about itself:
// the others name an active one that was killed until they miss it.
func (v *Vault) Leader(ctx context.Context) (int, error) {
	err := errors.New("no vault server is active now")
	for i := range v.Members {
		status, asked := v.health(ctx, i)
		if asked != nil {
			err = errors.Join(err, asked)
		} else if status == http.StatusOK {
			return i, nil
		}
	}
	return 0, err
}

// health is 200 when member i is active, 429 when it stands by, 501 when it is
// not initialised, 503 when it is sealed, 530 when it was removed as a peer.
func (v *Vault) health(ctx context.Context, i int) (int, error) {
	status, _, err := getBy(ctx, v.http, v.Addrs[i]+"/v1/sys/health", nil)
	return status, err
}

// StepDown has the active member give up, and does not wait for another. Vault
// keeps it from being active again for 10 seconds, even if it is elected.
func (v *Vault) StepDown(ctx context.Context) error {
	i, err := v.Leader(ctx)
	if err != nil {
		return err
	}
	client, err := v.Client(i)
	if err != nil {
		return err
	}
	if err := client.Sys().StepDownWithContext(ctx); err != nil {
		return fmt.Errorf("have %s step down: %w", v.Members[i].name, err)
	}
	return nil
}

// Stop ends all members, and removes their folder if it is a throw-away one.
func (v *Vault) Stop(ctx context.Context) error { return v.Cluster.Stop(ctx) }
