// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// statuses are those that a check can have.
var statuses = []string{api.HealthPassing, api.HealthWarning, api.HealthCritical}

// healths are those that an instance can have.
var healths = append([]string{api.HealthMaint}, statuses...)

// gauge is one metric, and what Consul says that it must be, by the attributes' values.
type gauge struct {
	metric     string
	attributes []string
	want       map[string]float64
}

// compareGauges waits until all gauges are as Consul has them, and records those that are
// not.
func (s *system) compareGauges(ctx context.Context) {
	s.CompareGauges(ctx, s.sink, func(context.Context) []string {
		return append(s.wrongGauges(), s.wrongStates()...)
	})
}

func (s *system) wrongGauges() (wrong []string) {
	gauges, err := s.gauges()
	if err != nil {
		return []string{fmt.Sprintf("gauges cannot be compared: %v", err)}
	}
	for _, g := range gauges {
		got := map[string]float64{}
		for series, value := range s.sink.Series(g.metric, append(g.attributes, attrDatacenter)...) {
			series, of, _ := cutLast(series)
			if len(s.systems) == 1 || of == s.datacenter || g.metric == metricMembers { // Those of the agent.
				got[series] = value
			}
		}
		for _, series := range slices.Sorted(maps.Keys(g.want)) {
			if value, ok := got[series]; !ok || value != g.want[series] {
				wrong = append(wrong, fmt.Sprintf("%s{%s} is %v (there: %t), and Consul says %v", g.metric, series, value, ok, g.want[series]))
			}
		}
		for _, series := range slices.Sorted(maps.Keys(got)) {
			if _, ok := g.want[series]; !ok && got[series] != 0 {
				wrong = append(wrong, fmt.Sprintf("%s{%s} is %v, and Consul has no such thing", g.metric, series, got[series]))
			}
		}
	}
	return wrong
}

// gauges reads what they must be from Consul's own API.
func (s *system) gauges() ([]gauge, error) {
	one := func(n int) map[string]float64 { return map[string]float64{"": float64(n)} }
	checks, _, err := s.client.Health().State(api.HealthAny, nil)
	if err != nil {
		return nil, err
	}
	byStatus := map[string]float64{}
	for _, status := range healths {
		byStatus[status] = 0
	}
	for _, check := range checks {
		switch {
		case check.PeerName != "":
		case isMaintenance(check.CheckID):
			byStatus[api.HealthMaint]++
		default:
			byStatus[check.Status]++
		}
	}
	instances, err := s.instances()
	if err != nil {
		return nil, err
	}
	sessions, _, err := s.client.Session().List(nil)
	if err != nil {
		return nil, err
	}
	nodes, services, registered, err := s.catalog()
	if err != nil {
		return nil, err
	}
	gauges := []gauge{
		{metricChecks, []string{attrStatus}, byStatus},
		{metricInstances, []string{attrService, attrStatus, attrPeer}, instances},
		{metricSessions, nil, one(len(sessions))},
		{metricNodes, nil, one(nodes)},
		{metricServices, nil, one(services)},
		{metricRegistered, nil, one(registered)},
		{metricUp, nil, one(1)},
	}
	keys, held, lists := map[string]float64{}, map[string]float64{}, api.KVPairs{}
	for _, prefix := range prefixes {
		pairs, _, err := s.client.KV().List(prefix, nil)
		if err != nil {
			return nil, err
		}
		keys[prefix], held[prefix] = float64(len(pairs)), 0
		lists = append(lists, pairs...)
		holders := holdersOf(pairs)
		for _, pair := range pairs {
			if pair.Session != "" && (pair.Flags != api.SemaphoreFlagValue || holders[pair.Session]) {
				held[prefix]++
			}
		}
	}
	gauges = append(gauges, gauge{metricKeys, []string{attrPrefix}, keys}, gauge{metricHeld, []string{attrPrefix}, held})
	gauges = append(gauges, s.semaphores(lists)...)
	servers, err := s.servers()
	return append(gauges, servers...), err
}

// semaphores counts the holders of each semaphore and those that wait.
func (s *system) semaphores(pairs api.KVPairs) []gauge {
	limits, holding, waiting := map[string]float64{}, map[string]float64{}, map[string]float64{}
	holders := holdersOf(pairs)
	for _, pair := range pairs {
		name := path.Dir(pair.Key)
		var list struct{ Limit int }
		switch {
		case pair.Flags != api.SemaphoreFlagValue:
		case path.Base(pair.Key) == api.DefaultSemaphoreKey && json.Unmarshal(pair.Value, &list) == nil:
			limits[name] = float64(list.Limit)
			holding[name], waiting[name] = holding[name]+0, waiting[name]+0
		case holders[pair.Session]:
			holding[name]++
		default:
			waiting[name]++
		}
	}
	return []gauge{
		{metricLimit, []string{attrSemaphore}, limits},
		{metricHolders, []string{attrSemaphore}, holding},
		{metricWaiters, []string{attrSemaphore}, waiting},
	}
}

// catalog counts what is in the catalog, without what is imported.
func (s *system) catalog() (nodes, services, instances int, err error) {
	all, _, err := s.client.Catalog().Nodes(nil)
	if err != nil {
		return 0, 0, 0, err
	}
	named, _, err := s.client.Catalog().Services(nil)
	if err != nil {
		return 0, 0, 0, err
	}
	for name := range named {
		of, _, err := s.client.Catalog().Service(name, "", nil)
		if err != nil {
			return 0, 0, 0, err
		}
		instances += len(of)
	}
	usage, _, err := s.client.Operator().Usage(nil)
	if own := usage.Usage[s.datacenter]; err == nil && s.imports == nil &&
		(own.Nodes != len(all) || own.Services != len(named) || own.ServiceInstances != instances) {
		err = fmt.Errorf("consul contradicts itself: its catalog has %d nodes, %d services, %d instances, and its usage %+v", len(all), len(named), instances, own)
	}
	return len(all), len(named), instances, err
}

// instances counts the instances of each service by their health, as Consul joins their
// checks with those of their nodes, and those that peers export.
func (s *system) instances() (map[string]float64, error) {
	counts := map[string]float64{}
	if err := s.countInstances(counts, s, ""); err != nil || s.imports == nil {
		return counts, err
	}
	return counts, s.countInstances(counts, s.imports, peerName)
}

// countInstances counts the instances of the services of a datacenter, which are those of
// a peer unless that is empty.
func (s *system) countInstances(counts map[string]float64, of *system, peer string) error {
	services, _, err := of.client.Catalog().Services(nil)
	if err != nil {
		return err
	}
	for service := range services {
		if peer != "" && service == "consul" {
			continue // It is not exported.
		}
		for _, health := range healths {
			counts[service+" "+health+" "+peer] = 0
		}
		options := &api.QueryOptions{Peer: peer}
		entries, _, err := s.client.Health().Service(service, "", false, options)
		if err != nil {
			return err
		}
		passing, _, err := s.client.Health().Service(service, "", true, options)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			counts[service+" "+entry.Checks.AggregatedStatus()+" "+peer]++
		}
		if n := counts[service+" "+api.HealthPassing+" "+peer]; n != float64(len(passing)) {
			return fmt.Errorf("consul says that %d of %s pass, and %v do", len(passing), service, n)
		}
	}
	return nil
}

// servers reads what concerns the servers themselves.
func (s *system) servers() ([]gauge, error) {
	raft, err := s.client.Operator().RaftGetConfiguration(nil)
	if err != nil {
		return nil, err
	}
	leads, voters := map[string]float64{}, 0.0
	for _, server := range raft.Servers {
		leads[server.Node] = 0
		if server.Leader {
			leads[server.Node] = 1
		}
		if server.Voter {
			voters++
		}
	}
	gauges := []gauge{
		{metricPeers, nil, map[string]float64{"": float64(len(raft.Servers))}},
		{metricVoters, nil, map[string]float64{"": voters}},
		{metricServerLeader, []string{attrServer}, leads},
	}
	if s != s.systems[0] {
		return gauges, nil
	}
	members := map[string]float64{}
	for pool, wan := range map[string]bool{"lan": false, "wan": true} {
		all, err := s.client.Agent().Members(wan)
		if err != nil {
			return nil, err
		}
		for _, member := range all {
			members[pool+" "+[]string{"none", "alive", "leaving", "left", "failed"}[member.Status]]++
		}
	}
	return append(gauges, gauge{metricMembers, []string{attrPool, attrMemberStatus}, members}), nil
}

// cutLast cuts off the last word.
func cutLast(text string) (before, last string, found bool) {
	i := strings.LastIndex(text, " ")
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}
