// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// identifyTries is how often the name of the datacenter is read while Consul
// answers everything else.
const identifyTries = 3

// identity is the name of a datacenter, on which the IDs of traces depend.
type identity struct {
	reading sync.Mutex
	read    bool
	tries   int

	mu      sync.Mutex
	known   string // name of the datacenter; empty: not known
	cluster string // part of the IDs of traces; empty: none was made yet
}

// identify finds out the datacenter before the first observation. A Consul that
// refuses this alone is no obstacle.
func (e *Env) identify(ctx context.Context) error {
	i := &e.identity
	i.reading.Lock()
	defer i.reading.Unlock()
	if i.read || i.datacenter() != "" {
		return nil
	}
	usage, err := e.API.Usage(ctx)
	code := consulapi.StatusCode(err)
	if err != nil && (code == 0 || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError) {
		if _, absent := e.API.Peers(ctx); absent != nil {
			return err
		}
		// Consul answers, but not this.
		if i.tries++; i.tries < identifyTries {
			return err
		}
	}
	e.SetDatacenter(usage.Datacenter)
	i.read = err == nil || !strings.Contains(err.Error(), "ACL not found") // else another token is to come
	return nil
}

// SetDatacenter sets the name of the datacenter when it is read at last.
func (e *Env) SetDatacenter(name string) {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	e.identity.known = cmp.Or(e.identity.known, name)
}

// datacenter returns the name of the datacenter, or nothing.
func (i *identity) datacenter() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known
}

// clusterID returns the part of the IDs of traces that distinguishes clusters. It
// stays what it was at first, even if the name of the datacenter is read later.
func (e *Env) clusterID() string {
	i := &e.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cluster = cmp.Or(i.cluster, i.known, e.Address)
	return i.cluster
}
