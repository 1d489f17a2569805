// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"sync"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// identifyTries is how often what identifies Consul is read while it answers everything
// else.
const identifyTries = 3

// identity is what distinguishes a datacenter from others.
type identity struct {
	named    lookup // of the name of the datacenter
	belonged lookup // of the cluster that it belongs to

	mu      sync.Mutex
	name    string // of the datacenter; empty: not known
	cluster string // part of the IDs of traces; empty: none was made yet
}

// lookup is one that is made once. What cannot be read is done without.
type lookup struct {
	sync.Mutex
	done  bool
	tries int
}

// identify reads the name of the datacenter before the first observation.
func (e *Env) identify(ctx context.Context) error {
	i := &e.identity
	i.named.Lock()
	defer i.named.Unlock()
	if i.named.done || i.datacenter() != "" {
		return nil
	}
	names, err := e.API.Datacenters(ctx)
	if err = i.named.ended(err, func() bool { _, err := e.API.Peers(ctx); return err == nil }); err != nil {
		return err
	}
	if len(names) > 0 {
		e.SetDatacenter(names[0]) // The agent's own comes first.
	}
	return nil
}

// identifyCluster reads which cluster the datacenter belongs to before the first span:
// two collectors must make the same IDs of it, and those of another Consul, such as
// one that was built anew with the same names, must differ. While there is no leader
// it waits for one, as each cluster has an ID from its first leader on.
func (e *Env) identifyCluster(ctx context.Context) error {
	i := &e.identity
	i.belonged.Lock()
	defer i.belonged.Unlock()
	if i.belonged.done {
		return nil
	}
	id, err := e.API.ClusterID(ctx)
	if err = i.belonged.ended(err, func() bool { leader, err := e.API.Leader(ctx); return err == nil && leader != "" }); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cluster = cmp.Or(i.name, e.Address)
	if id != "" {
		i.cluster = id + "/" + i.cluster
	}
	return nil
}

// ended takes in the outcome of a try. It returns the error if it is to be tried again:
// while Consul works otherwise, that is some times.
func (l *lookup) ended(err error, works func() bool) error {
	if err != nil && !consulapi.Refused(err) {
		if !works() {
			return err
		}
		if l.tries++; l.tries < identifyTries {
			return err
		}
	}
	l.done = true
	return nil
}

// SetDatacenter sets the name of the datacenter when it is read at last.
func (e *Env) SetDatacenter(name string) {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	e.identity.name = cmp.Or(e.identity.name, name)
}

// datacenter returns the name of the datacenter, or nothing.
func (i *identity) datacenter() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.name
}

// clusterID returns the part of the IDs of traces that distinguishes clusters. It
// stays what it was at first, even if the name of the datacenter is read later.
func (e *Env) clusterID() string {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	return e.identity.cluster
}
