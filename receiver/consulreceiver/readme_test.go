// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func TestTheReadmeNamesEverything(t *testing.T) {
	names := []string{health.SpanIncident, health.SpanNodeOutage, health.SpanOutage, kv.SpanHold, spanLeaderless}
	names = append(names, metricNames()...)
	names = append(names, readmetest.Settings[metadata.EventsConfig]()...)
	names = append(names, readmetest.Settings[Config]()...)
	readmetest.RequireNames(t, names...)
}

var hclBlock = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$")

func TestThePolicyOfTheReadmeIsEnough(t *testing.T) {
	policy := hclBlock.FindStringSubmatch(readmetest.Read(t))
	require.NotNil(t, policy)
	consul, client := startConsul(t, lab.ServerOptions{
		Token: "6f7f8a9b-0c1d-4e2f-8a3b-4c5d6e7f8a9b", ExtraHCL: `telemetry { prometheus_retention_time = "1m" }`,
	})
	registerService(t, client, "web")
	newSession(t, client, "some")
	cfg := configForKeys(consul.Addr)
	cfg.KV.Prefixes = []string{"locks/"}
	token := newToken(t, client, "readme", policy[1])
	cfg.Token = configopaque.String(token)
	o := observe(t, cfg)
	for _, endpoint := range []string{
		endpointChecks, endpointServices, endpointNodes, endpointUsage, endpointOverview, endpointLeader, endpointPeers,
		endpointAutopilot, endpointMembers, endpointMembersWAN, endpointCoordinates, endpointSessions, endpointKV + "locks/",
		endpointUserEvents, endpointConfig, endpointRoots, endpointToken, endpointPeerings, endpointLicense,
	} {
		o.Eventually(t, endpoint, isUp(t, o, 1, endpoint))
	}
	o.Eventually(t, "a session", o.HasValue(1, "consul.session.count"))
	assert.Empty(t, o.Events("consul.results.filtered"))
	o.RequireNotTold(t, token)
}
