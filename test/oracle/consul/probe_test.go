// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// probePrefix begins the names of what only shows that a watch goes on.
const probePrefix = "probe-"

// probed are the events that a probe causes, with the attribute that names it.
var probed = []struct{ event, attribute, prefix string }{
	{eventTransition, attrCheck, ""},
	{eventNodeRegistered, attrNode, ""},
	{eventServiceRegistered, attrService, ""},
	{eventSessionCreated, attrSessionName, ""},
	{eventKeyCreated, attrKey, prefixKeys},
	{eventKeyCreated, attrKey, prefixLocks},
	{eventKeyCreated, attrKey, prefixSemaphores},
}

// observed returns once each watch has reported a change that was made since.
func (s *system) observed(ctx context.Context) error {
	ctx, enough := context.WithTimeout(ctx, 90*time.Second)
	defer enough()
	var made []string
	first := s.probes.Load() + 1
	_, before := s.sink.EventsAfter(0)
	for {
		name := fmt.Sprintf("%s%d", probePrefix, s.probes.Add(1))
		if s.probe(ctx, name) == nil {
			made = append(made, name)
		}
		for range 10 {
			if s.reported(first, before) {
				s.removeProbes(ctx, made)
				return nil
			}
			if !oracle.Sleep(ctx, 50*time.Millisecond) {
				return fmt.Errorf("the collector has not reported the probes since %s%d:\n%s", probePrefix, first, s.collector.LogTail(30))
			}
		}
	}
}

// allObserved is observed, of each datacenter.
func (all *shared) allObserved(ctx context.Context) error {
	for _, s := range all.systems {
		if err := s.observed(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) probe(ctx context.Context, name string) error {
	if _, err := s.client.Catalog().Register(&api.CatalogRegistration{
		Node: name, Address: "127.0.0.1",
		Service: &api.AgentService{ID: name, Service: name},
		Check:   &api.AgentCheck{Node: name, CheckID: name, Name: name, Status: api.HealthPassing, ServiceID: name},
	}, write(ctx)); err != nil {
		return err
	}
	if _, _, err := s.client.Session().CreateNoChecks(&api.SessionEntry{Name: name}, write(ctx)); err != nil {
		return err
	}
	for _, prefix := range prefixes {
		if _, err := s.client.KV().Put(&api.KVPair{Key: prefix + name}, write(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// reported says whether each watch has reported a probe of that number or a later one, in
// the events that arrived after so many.
func (s *system) reported(first int64, before int) bool {
	events, _ := s.sink.EventsAfter(before)
	events = s.ownEvents(events)
	for _, want := range probed {
		if !slices.ContainsFunc(events, func(e oracle.Event) bool {
			var number int64
			_, err := fmt.Sscanf(strings.TrimPrefix(e.Attributes[want.attribute], want.prefix), probePrefix+"%d", &number)
			return e.Name == want.event && strings.HasPrefix(e.Attributes[want.attribute], want.prefix) && err == nil && number >= first
		}) {
			return false
		}
	}
	return true
}

// removeProbes leaves nothing of them behind. Nothing depends on it.
func (s *system) removeProbes(ctx context.Context, names []string) {
	sessions, _, _ := s.client.Session().List(sure(ctx))
	for _, name := range names {
		_, _ = s.client.Catalog().Deregister(&api.CatalogDeregistration{Node: name}, write(ctx))
		for _, prefix := range prefixes {
			_, _ = s.client.KV().Delete(prefix+name, write(ctx))
		}
		for _, session := range sessions {
			if session.Name == name {
				_, _ = s.client.Session().Destroy(session.ID, write(ctx))
			}
		}
	}
}

func isProbe(object string) bool {
	parts := strings.Split(object, "/")
	return slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, probePrefix) })
}
