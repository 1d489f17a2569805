// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// fleet registers services on external nodes, which no agent runs on, and turns their
// checks. Consul holds what it is given there, at once.
type fleet struct {
	*system
	domain   *oracle.Domain
	nodes    []string
	services []string
	checked  map[string]bool // services: their instances have checks
}

// fleetNames are parts of names, so that names in several cases and scripts occur.
var fleetNames = []string{"web", "API", "Größe", "データ", "поиск", "a b", "x.y_z", "Cache-1"}

func (s *system) fleet(number int) oracle.Actor {
	name := fmt.Sprintf("fleet-%d", number)
	f := &fleet{system: s, checked: map[string]bool{}}
	f.domain = s.catalogDomain(f.read)
	part := fleetNames[number%len(fleetNames)]
	for i := range 3 {
		f.nodes = append(f.nodes, fmt.Sprintf("%s-node%d-%d", part, number, i))
	}
	for i := range 3 {
		service := fmt.Sprintf("%s-svc%d-%d", part, number, i)
		f.services = append(f.services, service)
		f.checked[service] = i > 0
	}
	return oracle.Actor{Name: name, Pause: 600 * time.Millisecond, Act: f.act}
}

// Objects of a fleet.
func nodeObject(node string) string         { return "node/" + nodeName(node) }
func serviceObject(service string) string   { return "service/" + service }
func checkObject(node, check string) string { return checkPrefix + nodeName(node) + "/" + check }

// checkPrefix begins the objects that are checks.
const checkPrefix = "check/"

// nodeName is the same for names that Consul takes for the same.
func nodeName(node string) string {
	return strings.ToLower(node)
}

const present = "present"

func (f *fleet) read(ctx context.Context) (map[string]string, error) {
	states := map[string]string{}
	for _, name := range f.nodes {
		node, _, err := f.client.Catalog().Node(name, sure(ctx))
		if err != nil {
			return nil, err
		}
		if node == nil {
			continue
		}
		states[nodeObject(name)] = present
		for _, service := range node.Services {
			states[serviceObject(service.Service)] = present
		}
		checks, _, err := f.client.Health().Node(name, sure(ctx))
		if err != nil {
			return nil, err
		}
		for _, check := range checks {
			states[checkObject(name, check.CheckID)] = check.Status
		}
	}
	return states, nil
}

func (f *fleet) act(ctx context.Context, random *rand.Rand) string {
	node, service := f.nodes[random.IntN(len(f.nodes))], f.services[random.IntN(len(f.services))]
	kind, instance, status := random.IntN(20), fmt.Sprintf("%s-%d", service, random.IntN(2)), []string{api.HealthPassing, api.HealthWarning, api.HealthCritical}[random.IntN(3)]
	number := random.Uint64()
	node = inAnyCase(node, number>>8)
	what, do := f.choose(kind, node, service, instance, status, number)
	if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return f.domain.AllRested() }) {
		return ""
	}
	from := time.Now()
	err := do()
	f.domain.Record(ctx, from)
	if err != nil {
		return "failed request"
	}
	return what
}

// inAnyCase writes the name of a node in another case at times: to Consul it is the same.
func inAnyCase(node string, number uint64) string {
	switch number % 4 {
	case 0:
		return strings.ToUpper(node)
	case 1:
		return strings.ToLower(node)
	default:
		return node
	}
}

func (f *fleet) choose(kind int, node, service, instance, status string, number uint64) (string, func() error) {
	switch kind {
	case 0:
		return "node deregistered", func() error {
			return f.deregister(&api.CatalogDeregistration{Node: node})
		}
	case 1, 2:
		return "instance deregistered", func() error {
			return f.deregister(&api.CatalogDeregistration{Node: node, ServiceID: instance})
		}
	case 3:
		return "check of a node deregistered", func() error {
			return f.deregister(&api.CatalogDeregistration{Node: node, CheckID: nodeName(node) + "-load"})
		}
	case 4, 5:
		return "check of a node turned", func() error {
			return f.register(&api.CatalogRegistration{Node: node, Check: &api.AgentCheck{
				Node: node, CheckID: nodeName(node) + "-load", Name: "load", Status: status,
			}})
		}
	case 6, 7, 8, 9:
		return "instance registered", func() error {
			registration := &api.CatalogRegistration{Node: node, Service: &api.AgentService{ID: instance, Service: service}}
			if f.checked[service] {
				for i := range 1 + int(number%2) {
					id := fmt.Sprintf("%s-check%d", instance, i)
					registration.Checks = append(registration.Checks, &api.HealthCheck{
						Node: node, CheckID: id, Name: id, ServiceID: instance, ServiceName: service, Status: status,
					})
				}
			}
			return f.register(registration)
		}
	default:
		return "check turned", func() error { return f.turn(status, number) }
	}
}

// turn gives one of the checks that there are another status.
func (f *fleet) turn(status string, number uint64) error {
	type located struct{ node, check string }
	found := map[string]located{}
	for _, node := range f.nodes {
		checks, _, err := f.client.Health().Node(node, nil)
		if err != nil {
			return err
		}
		for _, check := range checks {
			if check.ServiceID != "" {
				found[node+"/"+check.CheckID] = located{node, check.CheckID}
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(found))
	at := found[names[number%uint64(len(names))]]
	checks, _, err := f.client.Health().Node(at.node, nil)
	if err != nil {
		return err
	}
	for _, check := range checks {
		if check.CheckID == at.check {
			check.Status = status
			return f.register(&api.CatalogRegistration{Node: at.node, Checks: api.HealthChecks{check}})
		}
	}
	return nil
}

func (f *fleet) register(registration *api.CatalogRegistration) error {
	registration.Address = "127.0.0.1"
	_, err := f.client.Catalog().Register(registration, nil)
	return err
}

func (f *fleet) deregister(what *api.CatalogDeregistration) error {
	_, err := f.client.Catalog().Deregister(what, nil)
	return err
}
