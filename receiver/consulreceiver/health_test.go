// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

// healths are what an instance's health can be.
var healths = []string{api.HealthPassing, api.HealthWarning, api.HealthCritical, api.HealthMaint, "unknown"}

// register writes into the catalog, as who registers nodes without an agent does.
func register(t *testing.T, client *api.Client, node string, service *api.AgentService, checks ...*api.AgentCheck) {
	t.Helper()
	var health api.HealthChecks
	for _, c := range checks {
		health = append(health, &api.HealthCheck{
			Node: node, CheckID: c.CheckID, Name: c.CheckID, ServiceID: c.ServiceID, Status: c.Status, Output: c.Output, Notes: c.Notes,
		})
	}
	_, err := client.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "10.0.0.1", Service: service, Checks: health}, nil)
	require.NoError(t, err)
}

// consulSays returns what Consul says of the instances of each service, by service and
// health.
func consulSays(t require.TestingT, client *api.Client) map[string]int64 {
	services, _, err := client.Catalog().Services(nil)
	require.NoError(t, err)
	counts := map[string]int64{}
	for name := range services {
		for _, health := range healths {
			counts[name+" "+health] = 0
		}
		instances, _, err := client.Health().Service(name, "", false, nil)
		require.NoError(t, err)
		for _, i := range instances {
			counts[name+" "+cmp.Or(i.Checks.AggregatedStatus(), "unknown")]++
		}
		passing, _, err := client.Health().Service(name, "", true, nil)
		require.NoError(t, err)
		require.Len(t, passing, int(counts[name+" "+api.HealthPassing]), "AggregatedStatus is not Consul's")
	}
	return counts
}

// reported returns the same as the receiver reports it.
func reported(o *observedtest.Receiver, services map[string]int64) map[string]int64 {
	counts := map[string]int64{}
	for key := range services {
		var name, health string
		_, _ = fmt.Sscan(key, &name, &health)
		if n, ok := o.Value("consul.health.service.instance.count", "consul.service.name", name, attrStatus, health); ok {
			counts[key] = n
		}
	}
	return counts
}

func requireConsulsHealth(t *testing.T, o *observedtest.Receiver, client *api.Client) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		want := consulSays(c, client)
		assert.Equal(c, want, reported(o, want))
	}, 60*time.Second, 200*time.Millisecond)
}

func TestTheHealthOfInstancesIsConsuls(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	// A node that is ill, with a service without checks, and one with a check.
	register(t, client, "ext1", &api.AgentService{Service: "db", ID: "db-1"}, &api.AgentCheck{CheckID: "disk", Status: api.HealthCritical})
	register(t, client, "ext1", &api.AgentService{Service: "cache", ID: "cache-1"}, &api.AgentCheck{CheckID: "cache", ServiceID: "cache-1", Status: api.HealthPassing})
	// One that is well, with instances of the same.
	register(t, client, "ext2", &api.AgentService{Service: "db", ID: "db-2"})
	register(t, client, "ext2", &api.AgentService{Service: "db", ID: "db-3"}, &api.AgentCheck{CheckID: "db", ServiceID: "db-3", Status: api.HealthWarning})
	// The check of a node under another spelling, and of a service.
	register(t, client, "web1", &api.AgentService{Service: "api", ID: "api"})
	register(t, client, "WEB1", nil, &api.AgentCheck{CheckID: "load", Status: api.HealthCritical})
	register(t, client, "web2", &api.AgentService{Service: "api", ID: "api"})
	register(t, client, "Web2", nil, &api.AgentCheck{CheckID: "api", ServiceID: "api", Status: api.HealthWarning})
	// Names of services that Consul does not tell apart.
	register(t, client, "ext3", &api.AgentService{Service: "Shop", ID: "s1"}, &api.AgentCheck{CheckID: "s1", ServiceID: "s1", Status: api.HealthCritical})
	register(t, client, "ext4", &api.AgentService{Service: "shop", ID: "s2"}, &api.AgentCheck{CheckID: "s2", ServiceID: "s2", Status: api.HealthPassing})
	// A status that Consul takes, and takes for not passing.
	register(t, client, "ext4", &api.AgentService{Service: "odd", ID: "odd"}, &api.AgentCheck{CheckID: "odd", ServiceID: "odd", Status: "strange"})
	// Maintenance of an instance, and of a node.
	register(t, client, "ext5", &api.AgentService{Service: "front", ID: "f1"},
		&api.AgentCheck{CheckID: "f1", ServiceID: "f1", Status: api.HealthCritical},
		&api.AgentCheck{CheckID: api.ServiceMaintPrefix + "f1", ServiceID: "f1", Status: api.HealthCritical, Notes: "disk swap"})
	register(t, client, "ext6", &api.AgentService{Service: "front", ID: "f2"}, &api.AgentCheck{CheckID: api.NodeMaint, Status: api.HealthCritical})
	register(t, client, "ext7", &api.AgentService{Service: "front", ID: "f3"})

	o := observe(t, configFor(consul.Addr))
	requireConsulsHealth(t, o, client)

	// Nodes recover and fall ill, and what is on them comes and goes.
	register(t, client, "ext1", nil, &api.AgentCheck{CheckID: "disk", Status: api.HealthPassing})
	register(t, client, "ext2", nil, &api.AgentCheck{CheckID: "disk", Status: api.HealthWarning})
	_, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: "ext6", CheckID: api.NodeMaint}, nil)
	require.NoError(t, err)
	requireConsulsHealth(t, o, client)
	register(t, client, "ext2", &api.AgentService{Service: "db", ID: "db-4"})
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "ext2", ServiceID: "db-2"}, nil)
	require.NoError(t, err)
	requireConsulsHealth(t, o, client)
}

func TestANodeHasTheNameOfTheCatalog(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web1", &api.AgentService{Service: "api", ID: "api"}, &api.AgentCheck{CheckID: "api", ServiceID: "api", Status: api.HealthPassing})
	register(t, client, "WEB1", nil, &api.AgentCheck{CheckID: "load", Status: api.HealthPassing})
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(3, "consul.health.check.count", attrStatus, "passing"))

	register(t, client, "WEB1", nil, &api.AgentCheck{CheckID: "load", Status: api.HealthCritical})
	o.Eventually(t, "the outage of the node", o.HasSpan(health.SpanNodeOutage+".start"))
	o.Eventually(t, "the incident of the service on it", o.HasSpan(health.SpanIncident+".start"))
	o.Eventually(t, "the transition, on the node as the catalog names it", o.HasEvent(transition, attrCheck, "load", "consul.node.name", "web1"))
	register(t, client, "web1", nil, &api.AgentCheck{CheckID: "load", Status: api.HealthPassing})
	o.Eventually(t, "its end", o.HasSpan(health.SpanNodeOutage, "consul.node.name", "web1"))
	o.Eventually(t, "that of the incident", o.HasSpan(health.SpanIncident, "consul.service.name", "api"))
	assert.Empty(t, o.Events(transition, "consul.node.name", "WEB1"))
}

func TestMaintenanceIsAStateOfItsOwn(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))

	require.NoError(t, client.Agent().EnableServiceMaintenance("web", "disk swap"))
	o.Eventually(t, "its begin, with the reason", o.HasEvent("consul.service.maintenance.started",
		"consul.service.name", "web", "consul.service.id", "web", "consul.maintenance.reason", "disk swap"))
	o.Eventually(t, "the instance", o.HasValue(1, "consul.health.service.instance.count", "consul.service.name", "web", attrStatus, "maintenance"))
	o.Eventually(t, "the check", o.HasValue(1, "consul.health.check.count", attrStatus, "maintenance"))
	critical, _ := o.Value("consul.health.check.count", attrStatus, "critical")
	assert.Zero(t, critical)
	requireConsulsHealth(t, o, client)

	// A check that fails meanwhile has an incident, which the maintenance does not prolong.
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the outage", o.HasSpan(health.SpanIncident+".start"))
	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "its end", o.HasSpan(health.SpanIncident, "consul.service.name", "web"))

	require.NoError(t, client.Agent().DisableServiceMaintenance("web"))
	o.Eventually(t, "the end", o.HasEvent("consul.service.maintenance.ended", "consul.service.id", "web", "consul.maintenance.reason", "disk swap"))

	require.NoError(t, client.Agent().EnableNodeMaintenance("kernel"))
	o.Eventually(t, "that of the node", o.HasEvent("consul.node.maintenance.started", "consul.node.name", "lab", "consul.maintenance.reason", "kernel"))
	requireConsulsHealth(t, o, client)
	require.NoError(t, client.Agent().DisableNodeMaintenance())
	o.Eventually(t, "and its end", o.HasEvent("consul.node.maintenance.ended", "consul.node.name", "lab"))

	for _, event := range o.Events("", "consul.maintenance.reason", "disk swap") {
		assert.Less(t, event.SeverityNumber(), plog.SeverityNumberError, event.EventName())
	}
	assert.Len(t, o.Spans(health.SpanIncident+".start"), 1, "that of the check")
	assert.Empty(t, o.Spans(health.SpanNodeOutage+".start"))
	assert.Empty(t, o.Events(transition, attrCheck, api.NodeMaint))
	assert.Empty(t, o.Events(transition, attrCheck, api.ServiceMaintPrefix+"web"))
}

func TestARemovalHasNoIndex(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the outage", o.HasEvent(transition, attrCheck, "web", "consul.check.new_status", "critical"))
	critical := o.Events(transition, attrCheck, "web", "consul.check.new_status", "critical")[0]
	_, has := critical.Attributes().Get("consul.modify_index")
	assert.True(t, has)

	require.NoError(t, client.Agent().ServiceDeregister("web"))
	o.Eventually(t, "the removal", o.HasEvent(transition, attrCheck, "web", "consul.check.new_status", "none"))
	_, has = o.Events(transition, attrCheck, "web", "consul.check.new_status", "none")[0].Attributes().Get("consul.modify_index")
	assert.False(t, has, "Consul does not say at which index it went")
}

func TestTransitionsStandAtZero(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	require.NoError(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "bare"}))
	o := observe(t, configFor(consul.Addr))
	for _, service := range []string{"web", ""} { // the latter: checks of nodes
		for _, status := range healths {
			o.Eventually(t, service+" "+status, o.HasValue(0, "consul.health.check.transitions", "consul.service.name", service, attrStatus, status))
		}
	}
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the first", o.HasValue(1, "consul.health.check.transitions", "consul.service.name", "web", attrStatus, "critical"))
}

func TestASidecarHasNoIncidentOfItsOwn(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	proxy := func(status string) {
		register(t, client, "ext1", &api.AgentService{
			Kind: api.ServiceKindConnectProxy, Service: "any-name", ID: "p1", Port: 1,
			Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: "web"},
		}, &api.AgentCheck{CheckID: "p1", ServiceID: "p1", Status: status})
	}
	proxy(api.HealthPassing)
	register(t, client, "ext1", &api.AgentService{Service: "web-sidecar-proxy", ID: "named"},
		&api.AgentCheck{CheckID: "named", ServiceID: "named", Status: api.HealthPassing})
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(3, "consul.health.check.count", attrStatus, "passing"))
	proxy(api.HealthCritical)
	register(t, client, "ext1", nil, &api.AgentCheck{CheckID: "named", ServiceID: "named", Status: api.HealthCritical})
	o.Eventually(t, "the transition", o.HasEvent(transition, attrCheck, "p1", "consul.check.new_status", "critical"))
	o.Eventually(t, "the incident of what is only named so", o.HasSpan(health.SpanOutage+".start", attrCheck, "named"))
	assert.Empty(t, o.Spans(health.SpanOutage+".start", attrCheck, "p1"))
	for _, status := range []string{api.HealthPassing, api.HealthCritical} { // one that fails as soon as it is there
		register(t, client, "ext2", &api.AgentService{
			Kind: api.ServiceKindConnectProxy, Service: "late", ID: "late", Port: 1,
			Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: "web"},
		}, &api.AgentCheck{CheckID: "late", ServiceID: "late", Status: status})
	}
	o.Eventually(t, "its transition", o.HasEvent(transition, attrCheck, "late", "consul.check.new_status", "critical"))
	assert.Empty(t, o.Spans(health.SpanOutage+".start", attrCheck, "late"))
	requireConsulsHealth(t, o, client)

	cfg := configFor(consul.Addr)
	cfg.Checks.SidecarIncidents = true
	o = observe(t, cfg)
	o.Eventually(t, "the baseline", o.HasValue(3, "consul.health.check.count", attrStatus, "critical"))
	proxy(api.HealthPassing)
	o.Eventually(t, "the end of its outage, when that is configured", o.HasSpan(health.SpanOutage, attrCheck, "p1"))
}

func TestImportedServicesHaveTheirPeer(t *testing.T) {
	t.Parallel()
	peerable := func() lab.ServerOptions {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := listener.Addr().(*net.TCPAddr).Port
		require.NoError(t, listener.Close())
		return lab.ServerOptions{ExtraHCL: "connect { enabled = true }\npeering { enabled = true }\nports { grpc_tls = " + strconv.Itoa(port) + " }\n"}
	}
	opts := peerable()
	opts.Datacenter = "dc2"
	_, there := startConsul(t, opts)
	consul, here := startConsul(t, peerable())
	register(t, there, "b1", &api.AgentService{Service: "billing", ID: "b1", Port: 80}, &api.AgentCheck{CheckID: "b1", ServiceID: "b1", Status: api.HealthCritical})
	register(t, there, "b2", &api.AgentService{Service: "billing", ID: "b2", Port: 80}, &api.AgentCheck{CheckID: "b2", ServiceID: "b2", Status: api.HealthPassing})
	register(t, there, "b3", &api.AgentService{Service: "billing", ID: "b3", Port: 80})
	register(t, there, "b4", &api.AgentService{Service: "billing", ID: "b4", Port: 80}, &api.AgentCheck{CheckID: api.NodeMaint, Status: api.HealthCritical})
	register(t, here, "h1", &api.AgentService{Service: "billing", ID: "own"}, &api.AgentCheck{CheckID: "own", ServiceID: "own", Status: api.HealthWarning})
	_, _, err := there.ConfigEntries().Set(&api.ExportedServicesConfigEntry{
		Name: "default", Services: []api.ExportedService{{Name: "billing", Consumers: []api.ServiceConsumer{{Peer: "west"}}}},
	}, nil)
	require.NoError(t, err)
	token, _, err := there.Peerings().GenerateToken(t.Context(), api.PeeringGenerateTokenRequest{PeerName: "west"}, nil)
	require.NoError(t, err)
	_, _, err = here.Peerings().Establish(t.Context(), api.PeeringEstablishRequest{PeerName: "east", PeeringToken: token.PeeringToken}, nil)
	require.NoError(t, err)

	o := observe(t, configFor(consul.Addr))
	for health, want := range map[string]int64{"passing": 2, "warning": 0, "critical": 1, "maintenance": 1, "unknown": 0} {
		o.Eventually(t, "imported instances that are "+health, o.HasValue(want, "consul.health.service.instance.count",
			"consul.service.name", "billing", "consul.peer.name", "east", attrStatus, health))
	}
	own := map[string]int64{"passing": 0, "warning": 1, "critical": 0, "maintenance": 0, "unknown": 0}
	o.Eventually(t, "its own instances", func() bool { return maps.Equal(own, instancesWithoutPeer(o, "billing")) })
	time.Sleep(12 * time.Second) // Consul counts again in the meantime, and counts the others, too.
	o.Eventually(t, "the catalog is without them", o.HasValue(2, "consul.catalog.service.count"))
	assert.Equal(t, own, instancesWithoutPeer(o, "billing"))

	cfg := configFor(consul.Addr)
	cfg.Datacenters = []string{"*"}
	o = observe(t, cfg)
	o.Eventually(t, "the counts of a datacenter", o.HasValue(2, "consul.catalog.service.count")) // consul and billing
	o.Eventually(t, "its nodes", o.HasValue(2, "consul.catalog.node.count"))
	o.Eventually(t, "its instances", o.HasValue(2, "consul.catalog.service.instance.count"))
}

// instancesWithoutPeer returns the newest numbers of the datacenter's own instances of a
// service, by health.
func instancesWithoutPeer(o *observedtest.Receiver, service string) map[string]int64 {
	counts := map[string]int64{}
	all := o.Metrics.AllMetrics()
	if len(all) == 0 {
		return counts
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "consul.health.service.instance.count" {
					continue
				}
				for _, point := range m.Sum().DataPoints().All() {
					name, _ := point.Attributes().Get("consul.service.name")
					health, _ := point.Attributes().Get(attrStatus)
					if _, imported := point.Attributes().Get("consul.peer.name"); !imported && name.Str() == service {
						counts[health.Str()] = point.IntValue()
					}
				}
			}
		}
	}
	return counts
}
