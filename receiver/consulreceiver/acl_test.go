// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
)

const management = "6f7f8a9b-0c1d-4e2f-8a3b-4c5d6e7f8a9b"

// newToken returns a token with these rules.
func newToken(t *testing.T, client *api.Client, name, rules string) string {
	t.Helper()
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	require.NoError(t, err)
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	return token.SecretID
}

// tokenFile is where a receiver finds its token; rotate writes another one.
type tokenFile string

func newTokenFile(t *testing.T, token string) tokenFile {
	t.Helper()
	f := tokenFile(filepath.Join(t.TempDir(), "token"))
	f.rotate(t, token)
	return f
}

// rotate replaces the file, as who rotates tokens should: it is never empty.
func (f tokenFile) rotate(t *testing.T, token string) {
	t.Helper()
	next := string(f) + ".next"
	require.NoError(t, os.WriteFile(next, []byte(token+"\n"), 0o600))
	require.NoError(t, os.Rename(next, string(f)))
}

func TestATokenThatIsRotatedInItsFile(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	registerService(t, client, "web")
	file := newTokenFile(t, "00000000-aaaa-bbbb-cccc-000000000000")
	cfg := configFor(consul.Addr)
	cfg.TokenFile = string(file)
	o := observe(t, cfg)
	o.Eventually(t, "a wrong token is refused", isUp(t, o, 0, endpointChecks))
	o.Eventually(t, "which needs no ACL", o.HasValue(1, "consul.up"))

	file.rotate(t, management)
	o.Eventually(t, "the new token counts", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the watch", o.HasEvent(transition, attrCheck, "web", "consul.datacenter", "dc1"))
	o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
	o.RequireNotTold(t, management)
	requireBounded(t, o, 1)
}

func TestWhatATokenMayNotSeeHasNotVanished(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	registerService(t, client, "web")
	registerService(t, client, "db")
	set(t, client, "web", api.HealthCritical)
	wide := newToken(t, client, "wide", `node_prefix "" { policy = "read" } service_prefix "" { policy = "read" } operator = "read"`)
	narrow := newToken(t, client, "narrow", `node_prefix "" { policy = "read" } service "db" { policy = "read" }`)
	file := newTokenFile(t, wide)
	cfg := configFor(consul.Addr)
	cfg.TokenFile = string(file)
	o := observe(t, cfg)
	o.Eventually(t, "all checks", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	set(t, client, "db", api.HealthWarning)
	o.Eventually(t, "the watch", o.HasEvent(transition, attrCheck, "db"))
	require.Zero(t, o.Warnings("view of "+endpointChecks))

	file.rotate(t, narrow)
	set(t, client, "db", api.HealthPassing)
	o.Eventually(t, "the partial view is said", func() bool { return o.Warnings("view of "+endpointChecks) == 1 })
	o.Eventually(t, "as an event too", o.HasEvent("consul.results.filtered", "consul.endpoint", endpointChecks))
	o.Eventually(t, "what it may see goes on", o.HasEvent(transition, attrCheck, "db", "consul.check.new_status", "passing"))
	require.Empty(t, o.Events(transition, attrCheck, "web"), "it is only hidden")
	o.RequireNotTold(t, wide, narrow)
}

func TestWhatAPolicyNoLongerShowsHasNotVanished(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	for _, service := range []string{"web", "db", "hidden"} {
		registerService(t, client, service)
	}
	const nodes = `node_prefix "" { policy = "read" } service "db" { policy = "read" } `
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "some", Rules: nodes + `service "web" { policy = "read" }`}, nil)
	require.NoError(t, err)
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	p := startProxy(t, consul.Addr)
	cfg := configFor(p.addr())
	cfg.Token = configopaque.String(token.SecretID)
	o := observe(t, cfg)
	watching(t, o, endpointChecks, endpointServices)
	o.Eventually(t, "what it shows", o.HasValue(3, "consul.health.check.count", attrStatus, "passing"))
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))
	o.Eventually(t, "it counts", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))
	time.Sleep(1200 * time.Millisecond) // The next query waits.

	policy.Rules = nodes
	_, _, err = client.ACL().PolicyUpdate(policy, nil)
	require.NoError(t, err)
	// A query that waits goes on with the old rights.
	p.fail(refuse(http.StatusServiceUnavailable, ""))
	o.Eventually(t, "it ends", isUp(t, o, 0, endpointChecks))
	p.heal()
	o.Eventually(t, "less is shown", o.HasValue(0, "consul.health.check.count", attrStatus, "critical"))
	set(t, client, "db", api.HealthWarning)
	o.Eventually(t, "what it shows goes on", o.HasEvent(transition, attrCheck, "db"))
	assert.Len(t, o.Events(transition, attrCheck, "web"), 1)
	assert.Empty(t, o.Spans(health.SpanOutage))
	requireNothingGone(t, o)
}

// grants are the rules that the receiver needs, one by one.
var grants = map[string]string{
	"operator": `operator = "read"`,
	"node":     `node_prefix "" { policy = "read" }`,
	"service":  `service_prefix "" { policy = "read" }`,
	"session":  `session_prefix "" { policy = "read" }`,
	"key":      `key_prefix "" { policy = "read" }`,
	"event":    `event_prefix "" { policy = "read" }`,
}

func allBut(denied string) string {
	var rules []string
	for name, rule := range grants {
		if name != denied {
			rules = append(rules, rule)
		}
	}
	return strings.Join(rules, "\n")
}

// stir changes something in every part of the API that has events.
func stir(t *testing.T, client *api.Client, name string) {
	t.Helper()
	registerService(t, client, name)
	_, err := client.Catalog().Register(&api.CatalogRegistration{Node: "node-" + name, Address: "10.1.2.3"}, nil)
	require.NoError(t, err)
	newSession(t, client, name)
	put(t, client, "config/"+name, nil)
	put(t, client, "locks/"+name, nil)
	_, _, err = client.Event().Fire(&api.UserEvent{Name: name}, nil)
	require.NoError(t, err)
	_, _, err = client.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name}, nil)
	require.NoError(t, err)
}

// A check that has failed for long is no outage of now when the token begins to show it.
func TestWhatAPolicyBeginsToShowHasNotChanged(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	for _, service := range []string{"web", "db", "hidden"} {
		registerService(t, client, service)
	}
	set(t, client, "web", api.HealthCritical)
	const nodes = `node_prefix "" { policy = "read" } service "db" { policy = "read" } `
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "some", Rules: nodes}, nil)
	require.NoError(t, err)
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	cfg := configFor(consul.Addr)
	cfg.Token = configopaque.String(token.SecretID)
	o := observe(t, cfg)
	watching(t, o, endpointChecks)
	o.Eventually(t, "what it shows", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))

	policy.Rules = nodes + `service "web" { policy = "read" }`
	_, _, err = client.ACL().PolicyUpdate(policy, nil)
	require.NoError(t, err)
	for _, status := range []string{api.HealthCritical, api.HealthPassing} {
		set(t, client, "db", status)
		o.Eventually(t, "what changes", o.HasEvent(transition, attrCheck, "db", "consul.check.new_status", status))
	}
	o.Eventually(t, "more is shown", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))
	assert.Empty(t, o.Events(transition, attrCheck, "web"))
	assert.Empty(t, o.Spans(health.SpanIncident+".start", "consul.service.name", "web"))
}

func TestATokenThatLacksOneRightShowsTheRest(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	stir(t, client, "first")
	acquire(t, client, newSession(t, client, "holder"))
	wide := newToken(t, client, "wide", allBut(""))

	// What is not granted is refused, or filtered out of an answer.
	refused := map[string][]string{
		"operator": {endpointUsage, endpointOverview, endpointAutopilot, endpointPeerings},
	}
	filtered := map[string][]string{
		"node":    {endpointChecks, endpointNodes, endpointMembers, endpointMembersWAN},
		"service": {endpointChecks, endpointServices, endpointConfig},
		"session": {endpointSessions},
		"key":     {endpointKV + "config/", endpointKV + "locks/"},
		"event":   {endpointUserEvents},
	}
	// What a stir causes, by the rights that it takes.
	reports := map[string]struct{ event, attribute, prefix string }{
		"service":      {"consul.service.registered", "consul.service.name", ""},
		"service node": {transition, attrCheck, ""},
		"node":         {"consul.node.registered", "consul.node.name", "node-"},
		"session":      {"consul.session.created", "consul.session.name", ""},
		"key":          {"consul.kv.created", "consul.kv.key.name", "config/"},
		"event":        {"consul.user_event.fired", "consul.user_event.name", ""},
	}
	all := append([]string{
		endpointConfig, endpointMembers, endpointMembersWAN, endpointKV + "config/", endpointKV + "locks/", endpointToken,
		endpointPeers, endpointLeader, endpointUsage, endpointOverview, endpointAutopilot, endpointCoordinates,
		endpointPeerings, endpointLicense,
	}, watched...)

	for denied := range grants {
		t.Run("without "+denied, func(t *testing.T) {
			file := newTokenFile(t, wide)
			cfg := configForKeys(consul.Addr)
			cfg.TokenFile = string(file)
			o := observe(t, cfg)
			watching(t, o, all...)
			o.Eventually(t, "the hold", o.HasValue(1, "consul.kv.lock.held.count", "consul.kv.prefix", "locks/"))

			// A query that waits goes on with the rights with which it began.
			stirUntil := func(what string, condition func() bool) {
				t.Helper()
				for begin := time.Now(); !condition(); time.Sleep(500 * time.Millisecond) {
					require.Less(t, time.Since(begin), 90*time.Second, what)
					stir(t, client, fmt.Sprintf("%s-%d", denied, time.Now().UnixNano()))
				}
			}
			file.rotate(t, newToken(t, client, denied, allBut(denied)))
			stirUntil("the partial views are said", func() bool {
				return !slices.ContainsFunc(filtered[denied], func(endpoint string) bool {
					return !strings.Contains(o.Trouble(), "view of "+endpoint+": ")
				})
			})
			stir(t, client, denied+"-narrow")
			for kinds, reported := range reports {
				if !strings.Contains(kinds, denied) {
					o.Eventually(t, kinds, o.HasEvent(reported.event, reported.attribute, reported.prefix+denied+"-narrow"))
				}
			}
			hidden := map[string]bool{endpointCoordinates: denied == "node"} // once there are any
			for _, endpoint := range filtered[denied] {
				hidden[endpoint] = true
				assert.Len(t, o.Events("consul.results.filtered", "consul.endpoint", endpoint), 1)
			}
			for _, endpoint := range refused[denied] {
				hidden[endpoint] = true
				o.Eventually(t, endpoint+" is refused", isUp(t, o, 0, endpoint))
				assert.Equal(t, 1, o.Warnings(endpoint))
			}
			for _, endpoint := range all {
				if !hidden[endpoint] {
					o.Eventually(t, endpoint, isUp(t, o, 1, endpoint))
					assert.NotContains(t, "\n"+o.Trouble(), "\n"+endpoint+": ")
					assert.NotContains(t, o.Trouble(), "view of "+endpoint+": ")
				}
			}
			o.Eventually(t, "it is up", o.HasValue(1, "consul.up"))

			file.rotate(t, wide)
			if denied != "event" { // To a query without that right nothing happens: it waits for a minute.
				stirUntil("the status is well", func() bool { return o.Trouble() == "" })
				stir(t, client, denied+"-wide")
				for kinds, reported := range reports {
					o.Eventually(t, kinds+" is reported again", o.HasEvent(reported.event, reported.attribute, reported.prefix+denied+"-wide"))
					assert.Empty(t, o.Events(reported.event, reported.attribute, reported.prefix+"first"), "that it is shown again is no news")
				}
			}
			requireNothingGone(t, o)
			requireNoSpans(t, o)
			requireBounded(t, o, 1)
			o.RequireNotTold(t, wide)
		})
	}
}

// requireNoSpans requires that no period began or ended.
func requireNoSpans(t *testing.T, o *observedtest.Receiver) {
	t.Helper()
	for _, name := range []string{health.SpanIncident, health.SpanNodeOutage, health.SpanOutage, kv.SpanHold, spanLeaderless} {
		for _, suffix := range []string{"", ".start"} {
			require.Empty(t, o.Spans(name+suffix), fmt.Sprint(name, suffix))
		}
	}
}
