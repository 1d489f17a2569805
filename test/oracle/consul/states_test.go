// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// wrongStates compares the state of each instance and of each node with Consul's API.
func (s *system) wrongStates() []string {
	instances, required, err := s.instanceHealth()
	if err != nil {
		return []string{fmt.Sprintf("states of instances cannot be compared: %v", err)}
	}
	nodes, checked, err := s.nodeHealth()
	if err != nil {
		return []string{fmt.Sprintf("states of nodes cannot be compared: %v", err)}
	}
	return append(s.wrongSet(metricInstanceState, instances, required, attrService, attrInstance, attrNode),
		s.wrongSet(metricNodeState, nodes, checked, attrNode)...)
}

// wrongSet compares a state set with the health of each object: the one of each required
// object has to be there, and no other.
func (s *system) wrongSet(metric string, health, required map[string]string, attributes ...string) (wrong []string) {
	reported := map[string]string{}
	for series, value := range s.sink.Series(metric, append(attributes, attrStatus, attrDatacenter)...) {
		series, of, _ := cutLast(series)
		if value != 1 || len(s.systems) > 1 && of != s.datacenter {
			continue
		}
		object, state, _ := cutLast(series)
		if other, twice := reported[object]; twice {
			wrong = append(wrong, fmt.Sprintf("%s: %s is both %s and %s", metric, object, other, state))
		}
		reported[object] = state
	}
	for _, object := range slices.Sorted(maps.Keys(reported)) {
		if reported[object] != health[object] {
			wrong = append(wrong, fmt.Sprintf("%s: %s is %s, and Consul says %q", metric, object, reported[object], health[object]))
		}
	}
	for _, object := range slices.Sorted(maps.Keys(required)) {
		if _, ok := reported[object]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: %s is not there, and Consul says %q", metric, object, required[object]))
		}
	}
	return wrong
}

// instanceHealth returns the health of each instance, and of those that have a check or
// are on a node that does not pass.
func (s *system) instanceHealth() (all, required map[string]string, err error) {
	services, _, err := s.client.Catalog().Services(nil)
	if err != nil {
		return nil, nil, err
	}
	all, required = map[string]string{}, map[string]string{}
	for service := range services {
		entries, _, err := s.client.Health().Service(service, "", false, nil)
		if err != nil {
			return nil, nil, err
		}
		for _, entry := range entries {
			object := strings.Join([]string{service, entry.Service.ID, entry.Node.Node}, " ")
			all[object] = entry.Checks.AggregatedStatus()
			if all[object] != api.HealthPassing || slices.ContainsFunc(entry.Checks, func(c *api.HealthCheck) bool { return c.ServiceID != "" }) {
				required[object] = all[object]
			}
		}
	}
	return all, required, nil
}

// nodeHealth returns the health of each node, and of those that have a check of their own.
func (s *system) nodeHealth() (all, required map[string]string, err error) {
	nodes, _, err := s.client.Catalog().Nodes(nil)
	if err != nil {
		return nil, nil, err
	}
	all, required = map[string]string{}, map[string]string{}
	for _, node := range nodes {
		checks, _, err := s.client.Health().Node(node.Node, nil)
		if err != nil {
			return nil, nil, err
		}
		own := slices.DeleteFunc(checks, func(c *api.HealthCheck) bool { return c.ServiceID != "" })
		all[node.Node] = own.AggregatedStatus()
		if len(own) > 0 {
			required[node.Node] = all[node.Node]
		}
	}
	return all, required, nil
}
