// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/hashicorp/consul/api"
)

// The endpoints that more than one kind needs.
const (
	EndpointDatacenters = "catalog/datacenters"
	EndpointUsage       = "operator/usage"
	EndpointLeader      = "status/leader"
	EndpointPeers       = "status/peers"
	EndpointSessions    = "session/list"
	EndpointRoots       = "connect/ca/roots"
)

// Usage is the size of the catalog of one datacenter.
type Usage struct {
	Datacenter string
	Nodes      int64
	Services   int64
	Instances  int64

	// LastContact is how long ago the server that answered heard from the leader.
	LastContact time.Duration
}

// Usage returns the size of the catalog of the datacenter. With a StaleError it still
// returns the LastContact.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	all, err := c.usages(ctx, EndpointUsage)
	for _, usage := range all { // one entry, as `global` is not requested
		return usage, err
	}
	return Usage{}, err
}

// usages returns the sizes of catalogs by datacenter.
func (c *Client) usages(ctx context.Context, endpoint string) (map[string]Usage, error) {
	reply, meta, err := Get[struct {
		Usage map[string]struct {
			Nodes, Services, ServiceInstances *int64 `answer:"required"`
		} `answer:"nonempty"`
	}](ctx, c, endpoint, Query{Local: true}) // It is never forwarded.
	if IsStale(err) {
		return map[string]Usage{"": {LastContact: meta.LastContact}}, err
	}
	if err != nil {
		return nil, err
	}
	usages := make(map[string]Usage, len(reply.Usage))
	for datacenter, u := range reply.Usage {
		usages[datacenter] = Usage{
			Datacenter: datacenter,
			Nodes:      *u.Nodes, Services: *u.Services, Instances: *u.ServiceInstances,
			LastContact: meta.LastContact,
		}
	}
	return usages, nil
}

// Usages reads the sizes of all datacenters' catalogs at once, for all who need one:
// Consul forwards such a request to every datacenter.
type Usages struct {
	mu  sync.Mutex
	at  time.Time
	all map[string]Usage
	err error
}

// Of returns the size of the catalog of a datacenter, at most so old.
func (u *Usages) Of(ctx context.Context, c *Client, datacenter string, age time.Duration) (Usage, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() || time.Since(u.at) > age {
		u.all, u.err = c.Of("").usages(ctx, EndpointUsage+"?global")
		u.at = time.Now()
	}
	usage, found := u.all[datacenter]
	if u.err == nil && !found {
		return Usage{}, fmt.Errorf("%s: datacenter %s does not answer", EndpointUsage, datacenter)
	}
	return usage, u.err
}

// Leader returns the address of the leader, or nothing if there is none.
func (c *Client) Leader(ctx context.Context) (string, error) {
	address, _, err := Get[*string](ctx, c, EndpointLeader, Query{})
	if err != nil {
		return "", err
	}
	return *address, nil
}

// Peers returns the addresses of the servers. There are none while they wait for more
// of them, and then there is no leader either.
func (c *Client) Peers(ctx context.Context) ([]string, error) {
	peers, _, err := Get[[]string](ctx, c, EndpointPeers, Query{})
	if err != nil || len(peers) > 0 {
		return peers, err
	}
	if leader, err := c.Leader(ctx); err != nil {
		return nil, err
	} else if leader != "" {
		return nil, fmt.Errorf("%s: %w: it names no server, but there is a leader", EndpointPeers, ErrForeign)
	}
	return peers, nil
}

// Datacenters returns the names of the datacenters that the agent knows.
func (c *Client) Datacenters(ctx context.Context) ([]string, error) {
	names, _, err := Get[[]string](ctx, c, EndpointDatacenters, Query{})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: %w: it names no datacenter", EndpointDatacenters, ErrForeign)
	}
	return names, err
}

// ClusterID returns the UUID of the cluster, which its datacenters have in common that
// have a primary datacenter in common. It goes with the data: a snapshot brings along
// that of the cluster from which it is. It is empty where Consul Connect is turned off.
func (c *Client) ClusterID(ctx context.Context) (string, error) {
	roots, _, err := Get[struct {
		TrustDomain string `answer:"required"` // the UUID, and a domain
	}](ctx, c, EndpointRoots, Query{Local: true})
	if ConnectOff(err) {
		return "", nil
	}
	id, _, _ := strings.Cut(roots.TrustDomain, ".")
	return id, err
}

// ConnectOff says whether err is that of a Consul without Consul Connect.
func ConnectOff(err error) bool {
	return StatusCode(err) == http.StatusInternalServerError && strings.Contains(err.Error(), "Connect must be enabled")
}

// Nullable is a list for which Consul sends null when it is empty, which
// it does in a few answers only. Elsewhere null is an error.
type Nullable[T any] []T

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *Nullable[T]) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	if err := json.UnmarshalDecode(from, (*[]T)(n)); err != nil {
		return err
	}
	if *n == nil {
		*n = []T{}
	}
	return nil
}

// Duration is a duration as Consul writes it.
type Duration = api.ReadableDuration
