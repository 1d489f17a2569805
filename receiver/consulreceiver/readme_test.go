// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(content)
}

func TestTheReadmeNamesEverything(t *testing.T) {
	text := readme(t)
	names := []string{telemetry.SpanIncident, telemetry.SpanNodeOutage, telemetry.SpanOutage, telemetry.SpanHold, telemetry.SpanLeaderless}
	names = append(names, metricNames()...)
	names = append(names, keys(reflect.TypeFor[metadata.EventsConfig](), "")...)
	names = append(names, keys(reflect.TypeFor[Config](), "")...)
	var missing []string
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			missing = append(missing, name)
		}
	}
	assert.Empty(t, missing)
}

// keys returns the settings of our own in a configuration.
func keys(config reflect.Type, prefix string) (all []string) {
	for i := range config.NumField() {
		field := config.Field(i)
		key, squash := strings.CutSuffix(field.Tag.Get("mapstructure"), ",squash")
		switch {
		case squash && strings.Contains(field.Type.PkgPath(), "go.opentelemetry.io"), squash && strings.Contains(field.Type.PkgPath(), "/metadata"):
		case squash:
			all = append(all, keys(field.Type, prefix)...)
		case field.Type.Kind() == reflect.Struct && !strings.Contains(field.Type.PkgPath(), "/metadata"):
			all = append(all, keys(field.Type, prefix+key+"::")...)
		default:
			all = append(all, prefix+key)
		}
	}
	return all
}

var hclBlock = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$")

func TestThePolicyOfTheReadmeIsEnough(t *testing.T) {
	policy := hclBlock.FindStringSubmatch(readme(t))
	require.NotNil(t, policy)
	consul, client := startConsul(t, lab.ServerOptions{
		Token: "6f7f8a9b-0c1d-4e2f-8a3b-4c5d6e7f8a9b", ExtraHCL: `telemetry { prometheus_retention_time = "1m" }`,
	})
	registerService(t, client, "web")
	newSession(t, client, "some")
	cfg := configForKeys(consul.Addr)
	cfg.KV.Prefixes = []string{"locks/"}
	cfg.AgentTelemetry.Enabled = true
	token := newToken(t, client, "readme", policy[1])
	cfg.Token = configopaque.String(token)
	o := observe(t, cfg)
	for _, endpoint := range []string{
		endpointChecks, endpointServices, endpointNodes, endpointUsage, endpointOverview, endpointLeader, endpointPeers,
		endpointAutopilot, endpointMembers, endpointMembersWAN, endpointCoordinates, endpointSessions, endpointKV + "locks/",
		endpointUserEvents, endpointConfig, endpointRoots, endpointToken, endpointTelemetry,
	} {
		o.Eventually(t, endpoint, o.HasValue(1, "consul.endpoint.up", "consul.endpoint", endpoint))
	}
	o.Eventually(t, "a session", o.HasValue(1, "consul.session.count"))
	assert.Empty(t, o.Events("consul.results.filtered"))
	o.RequireNotTold(t, token)
}
