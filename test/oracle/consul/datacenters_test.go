// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// TestTwoDatacenters observes two federated datacenters through one of them. Both have
// nodes, services, keys and locks of the same names.
func TestTwoDatacenters(t *testing.T) {
	t.Parallel()
	all := newRun(t, narrow)
	one := all.startDatacenter(t, lab.ServerOptions{})
	two := all.startDatacenter(t, lab.ServerOptions{Datacenter: "dc2", JoinWAN: []string{one.consul.WAN}})
	require.Eventually(t, func() bool {
		known, err := one.client.Catalog().Datacenters()
		return err == nil && len(known) == 2
	}, time.Minute, 50*time.Millisecond)
	all.observe(t, "", "    datacenters: [\"*\"]\n")
	var actors []oracle.Actor
	for _, s := range one.systems {
		for _, actor := range []oracle.Actor{s.fleet(0), s.fleet(1), s.writer(1, false), s.visitor(0), s.locker(0)} {
			actor.Name += "-" + s.datacenter
			actors = append(actors, actor)
		}
	}
	one.run(t, actors, []oracle.Fault{
		one.RefusalFault(one.sink, "all refused", 8*time.Second, oracle.Logs, oracle.Traces, oracle.Metrics),
		one.KillFault(one.sink, one.collector, "collector killed", one.allObserved),
		two.serverKilled(0),
	})
}
