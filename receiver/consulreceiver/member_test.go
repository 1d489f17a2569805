// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// In the LAN pool a member has the name of its node, in the WAN pool followed by the
// datacenter. The filters of nodes apply to the node's whole name in both.
func TestTheFiltersOfNodesApplyToTheWholeNamesOfMembers(t *testing.T) {
	t.Parallel()
	consul, _ := startConsul(t, lab.ServerOptions{Node: "srv-1.example.com"})
	for name, tc := range map[string]struct {
		include, exclude string
		want             int64
	}{
		"the whole name is excluded":     {exclude: `srv-1\.example\.com`, want: 0},
		"a part of the name is excluded": {exclude: "srv-1", want: 1},
		"the name with the datacenter":   {exclude: `srv-1\.example\.com\.dc1`, want: 1},
		"the whole name is included":     {include: `srv-1\.example\.com`, want: 1},
		"a part of the name is included": {include: "srv-1", want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configFor(consul.Addr)
			if tc.include != "" {
				cfg.Nodes.Include = []string{tc.include}
			}
			if tc.exclude != "" {
				cfg.Nodes.Exclude = []string{tc.exclude}
			}
			require.NoError(t, cfg.Validate())
			o := observe(t, cfg)
			for _, pool := range []string{"lan", "wan"} {
				o.Eventually(t, pool, o.HasValue(tc.want, "consul.member.count", "consul.member.pool", pool, "consul.member.status", "alive"))
			}
		})
	}
}

func TestTheVersionsOfMembers(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	members, err := client.Agent().Members(false)
	require.NoError(t, err)
	startAgent(t, fmt.Sprintf("-retry-join=%s:%d", members[0].Addr, members[0].Port))
	self, err := client.Agent().Self()
	require.NoError(t, err)
	version := self["Config"]["Version"].(string)
	cfg := configFor(consul.Addr)
	cfg.Metrics.Metrics.ConsulMemberInfo.Enabled = true
	o := observe(t, cfg)
	for pool, want := range map[string]int64{"lan": 2, "wan": 1} {
		o.Eventually(t, pool, o.HasValue(want, "consul.member.by_version.count", "consul.member.pool", pool, "consul.member.version", version))
	}
	o.Eventually(t, "the server", o.HasValue(1, "consul.member.info", "consul.member.pool", "wan",
		"consul.member.name", "lab.dc1", "consul.member.role", "server", "consul.member.version", version))
	o.Eventually(t, "the client", o.HasValue(1, "consul.member.info", "consul.member.pool", "lan",
		"consul.member.role", "client", "consul.member.version", version))
}
