// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"context"
	"errors"
	"net/http"
)

// Consul is one Consul datacenter of one or three servers, with ports for HTTP
// or HTTPS, RPC and gossip only (no DNS, no UI, and gRPC for peering alone). A restart
// keeps its state.
type Consul struct {
	// Server is the first of the members, and the only one unless asked otherwise.
	*Server
	*Cluster
	// Addr is host:port of the HTTP API of the first server; of its HTTPS API with TLS.
	Addr string
	// Addrs are those of all, in the order of Members.
	Addrs []string
	// Datacenter is its name.
	Datacenter string
	// WAN is host:port at which the first server gossips with other datacenters.
	WAN string
	// TLS is what a client needs; empty without TLS.
	TLS TLSFiles
	// Token is the management token; empty when ACLs are off.
	Token string

	rpc    []string // in the order of Members
	scheme string
	client *http.Client
}

// StartConsul starts the servers, and waits until each knows the leader and has
// found itself healthy. The node is "lab", unless it has another name; the nodes of
// three are "lab-1" to "lab-3".
func StartConsul(ctx context.Context, opts ServerOptions) (*Consul, error) {
	c := &Consul{Token: opts.Token, scheme: "http", client: probeClient}
	c.Datacenter = cmp.Or(opts.Datacenter, "dc1")
	ports := 4
	if opts.Peering {
		ports = 5
	}
	cluster, err := startCluster(ctx, "consul", ports, opts, func(places []place) ([]launch, error) {
		return c.prepare(places, opts)
	})
	if err != nil {
		return nil, err
	}
	c.Cluster, c.Server = cluster, cluster.Members[0]
	return c, nil
}

// ask reads the answer of the server at addr.
func (c *Consul) ask(ctx context.Context, addr, path string, out any) error {
	return getJSONBy(ctx, c.client, c.scheme+"://"+addr+path, http.Header{"X-Consul-Token": {c.Token}}, out)
}

// ready is nil when the server at addr knows a leader, and that has registered
// its node as healthy.
func (c *Consul) ready(ctx context.Context, addr, node string) error {
	var leader string
	if err := c.ask(ctx, addr, "/v1/status/leader", &leader); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("consul has no leader")
	}
	var checks []struct{ CheckID, Status string }
	if err := c.ask(ctx, addr, "/v1/health/node/"+node, &checks); err != nil {
		return err
	}
	for _, check := range checks {
		if check.CheckID == "serfHealth" && check.Status == "passing" {
			return nil
		}
	}
	return errors.New("consul's own node is not healthy in the catalog")
}

// Leader is the index in Members of the one that leads. It asks each about
// itself: the others name a leader that was killed until they miss it.
func (c *Consul) Leader(ctx context.Context) (int, error) {
	err := errors.New("no consul server leads now")
	for i, addr := range c.Addrs {
		var leader string
		if asked := c.ask(ctx, addr, "/v1/status/leader", &leader); asked != nil {
			err = errors.Join(err, asked)
		} else if leader == c.rpc[i] {
			return i, nil
		}
	}
	return 0, err
}

// Stop ends all servers, and removes their folder if it is a throw-away one.
func (c *Consul) Stop(ctx context.Context) error { return c.Cluster.Stop(ctx) }
