// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/acltoken"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/ca"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/catalog"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/configentry"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leaf"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/license"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/network"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/peering"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/server"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/session"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/userevent"
)

// kinds returns all that is observed, in the order in which metrics are recorded.
// A new kind is a line here.
func (c *Config) kinds(keyNames pattern.Matcher) []collect.Kind {
	sizes := map[*collect.Env]*catalog.Sizes{}
	sessions := map[*collect.Env]kv.Sessions{}
	changes := func(e *collect.Env) *catalog.Changes { return sizes[e].Changes }
	kinds := []collect.Kind{
		{Enabled: true, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
			sizes[e] = catalog.NewSizes(e, c.Catalog, c.namespace(), c.partition())
			return sizes[e]
		}},
		health.Kind(c.Checks, func(e *collect.Env) health.Catalog { return sizes[e] }, c.Metrics.Metrics),
		catalog.Services(c.Catalog, changes),
		catalog.Nodes(c.Catalog, changes),
		leader.Kind(c.Cluster),
		server.Kind(c.Cluster),
		network.Kind(c.Coordinates),
		{Enabled: c.Sessions.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
			s := session.New(e, c.Sessions)
			sessions[e] = s
			return s
		}},
		configentry.Kind(c.ConfigEntries),
		ca.Kind(c.Certificates),
		userevent.Kind(c.UserEvents),
		member.Kind(c.Members, member.LAN),
		member.Kind(c.Members, member.WAN),
		acltoken.Kind(c.ACLToken),
		license.Kind(c.License),
		peering.Kind(c.Peerings),
	}
	for _, prefix := range c.KV.Prefixes {
		kinds = append(kinds, kv.Kind(c.KV, keyNames, prefix, func(e *collect.Env) kv.Sessions { return sessions[e] }))
	}
	for _, service := range c.LeafCertificates.Services {
		kinds = append(kinds, leaf.Kind(service))
	}
	return kinds
}
