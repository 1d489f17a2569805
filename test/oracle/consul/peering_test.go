// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// peerName is the name under which the observed datacenter knows its peer.
const peerName = "across"

// TestPeering observes a datacenter that imports services of a peer. Those have the names
// of its own, on nodes of the same names.
func TestPeering(t *testing.T) {
	t.Parallel()
	all := newRun(t, narrow)
	one := all.startDatacenter(t, peerable(t, ""))
	// It is not observed, and no datacenter of the run.
	two := (&shared{Run: all.Run}).startDatacenter(t, peerable(t, "elsewhere"))
	peer(t, one, two)
	all.observe(t, "", "")
	actors := []oracle.Actor{one.fleet(0), one.fleet(1), one.locker(0)}
	for i := range 2 {
		actor := two.fleet(i)
		actor.Name += "-" + peerName
		actors = append(actors, actor)
	}
	one.imports = two
	one.run(t, actors, []oracle.Fault{
		one.RefusalFault(one.sink, "all refused", 8*time.Second, oracle.Logs, oracle.Traces, oracle.Metrics),
		one.KillFault(one.sink, one.collector, "collector killed", one.allObserved),
	})
}

// peerable are the options of a Consul that can have peers.
func peerable(t *testing.T, datacenter string) lab.ServerOptions {
	t.Helper()
	ports, err := lab.FreePorts(1)
	require.NoError(t, err)
	return lab.ServerOptions{Datacenter: datacenter, ExtraHCL: fmt.Sprintf(`
connect { enabled = true }
peering { enabled = true }
ports { grpc_tls = %d }
`, ports[0])}
}

// peer has one import all services of two.
func peer(t *testing.T, one, two *system) {
	t.Helper()
	var token string
	require.Eventually(t, func() bool {
		made, _, err := two.client.Peerings().GenerateToken(t.Context(), api.PeeringGenerateTokenRequest{PeerName: "observed"}, nil)
		if err == nil {
			token = made.PeeringToken
		}
		return err == nil
	}, time.Minute, 200*time.Millisecond)
	require.Eventually(t, func() bool {
		_, _, err := one.client.Peerings().Establish(t.Context(), api.PeeringEstablishRequest{PeerName: peerName, PeeringToken: token}, nil)
		return err == nil
	}, time.Minute, 200*time.Millisecond)
	_, _, err := two.client.ConfigEntries().Set(&api.ExportedServicesConfigEntry{
		Name:     "default",
		Services: []api.ExportedService{{Name: "*", Consumers: []api.ServiceConsumer{{Peer: "observed"}}}},
	}, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		read, _, err := one.client.Peerings().Read(t.Context(), peerName, nil)
		return err == nil && read != nil && read.State == api.PeeringStateActive
	}, time.Minute, 200*time.Millisecond)
}
