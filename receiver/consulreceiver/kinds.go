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
	kinds := []collect.Kind{
		{Enabled: true, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
			sizes[e] = catalog.NewSizes(e, c.Catalog, c.namespace(), c.partition())
			return sizes[e]
		}},
		health.Kind(c.Checks, func(e *collect.Env) health.Totals { return sizes[e] }, c.Metrics.Metrics.ConsulHealthCheckState.Enabled),
		catalog.Services(c.Catalog),
		catalog.Nodes(c.Catalog),
		leader.Kind(c.Cluster),
		server.Kind(c.Cluster),
		network.Kind(c.Coordinates),
		session.Kind(c.Sessions),
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
		kinds = append(kinds, kv.Kind(c.KV, keyNames, prefix))
	}
	for _, service := range c.LeafCertificates.Services {
		kinds = append(kinds, leaf.Kind(service))
	}
	return kinds
}
