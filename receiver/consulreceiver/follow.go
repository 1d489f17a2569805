// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// configEvery is how often it is asked whether a configuration entry changed,
// which is one small request.
const configEvery = 5 * time.Second

// pools are the gossip pools of an agent, and where they are read.
var pools = map[state.Pool]string{state.LAN: endpointMembers, state.WAN: endpointMembersWAN}

// follow starts what is followed in this scope, each on its own, so that one
// that fails leaves the others working. run starts one.
func (s *scope) follow(run func(func(context.Context))) {
	if s.datacenter {
		s.followCatalog(run)
		s.followKeys(run)
		s.followMesh(run)
		if s.cfg.Cluster.Enabled {
			run(s.followLeader)
		}
	}
	if s.agent {
		s.followAgent(run)
	}
}

func (s *scope) followCatalog(run func(func(context.Context))) {
	if s.cfg.Checks.Enabled {
		key := s.key("health")
		run(func(ctx context.Context) {
			restore(ctx, s, key, s.health.Restore)
			source[state.CheckID, state.Check]{
				scope: s, endpoint: endpointChecks, read: s.pick.checks, compare: state.CheckID.Compare,
				limit: limit{metadata.AttributeConsulObjectCheck, s.cfg.Checks.Limit, "checks::limit"},
				step:  s.health.Step, fork: func() step[state.CheckID, state.Check] { return s.health.Clone().Step },
				save: func() any { return s.health.Save() }, key: key,
			}.follow(ctx)
		})
	}
	if s.cfg.Catalog.Enabled {
		run(register(s, endpointServices, s.pick.catalogServices, &s.services,
			limit{metadata.AttributeConsulObjectService, s.cfg.Services.Limit, "services::limit"}).follow)
		run(register(s, endpointNodes, s.pick.catalogNodes, &s.nodes,
			limit{metadata.AttributeConsulObjectNode, s.cfg.Nodes.Limit, "nodes::limit"}).follow)
	}
	if s.cfg.Sessions.Enabled {
		run(register(s, endpointSessions, s.pick.sessions, &s.sessions,
			limit{metadata.AttributeConsulObjectSession, s.cfg.Sessions.Limit, "sessions::limit"}).follow)
	}
}

// followMesh follows what the service mesh is configured with.
func (s *scope) followMesh(run func(func(context.Context))) {
	if s.cfg.ConfigEntries.Enabled {
		entries := register(s, endpointConfig, (&configReader{}).read, &s.config,
			limit{metadata.AttributeConsulObjectConfigEntry, s.cfg.ConfigEntries.Limit, "config_entries::limit"})
		entries.every = configEvery
		run(entries.follow)
	}
	if s.cfg.Certificates.Enabled {
		run(register(s, endpointRoots, s.pick.activeRoot, &s.roots, limit{most: 1}).follow)
	}
}

func (s *scope) followAgent(run func(func(context.Context))) {
	if s.cfg.UserEvents.Enabled {
		events := register(s, endpointUserEvents, s.pick.userEvents(), &s.events, limit{most: 2 * maxUserEvents})
		events.unordered = true // The index is a hash.
		run(events.follow)
	}
	if s.cfg.Members.Enabled {
		for pool, endpoint := range pools {
			members := register(s, endpoint, s.pick.members(pool), s.members[pool],
				limit{metadata.AttributeConsulObjectMember, s.cfg.Members.Limit, "members::limit"})
			members.every, members.unordered = s.cfg.Scrape.CollectionInterval, true
			run(members.follow)
		}
	}
	if s.cfg.ACLToken.Enabled {
		run(s.followToken)
	}
}

// register is a source of objects that only come, change and go.
func register[V comparable](s *scope, endpoint string, read read[string, V], r *state.Register[V], l limit) source[string, V] {
	stepOf := func(r *state.Register[V]) step[string, V] {
		return func(_ time.Time, o state.Observation[string, V]) (*state.Gap, []state.Effect) { return r.Step(o) }
	}
	return source[string, V]{
		scope: s, endpoint: endpoint, read: read, compare: cmp.Compare[string], limit: l,
		step: stepOf(r), fork: func() step[string, V] { return stepOf(r.Clone()) },
	}
}

// followKeys follows the keys under each prefix. When a hold ends, the sessions
// are read at once: they tell how.
func (s *scope) followKeys(run func(func(context.Context))) {
	for _, prefix := range s.cfg.KV.Prefixes {
		keys, key := s.keys[prefix], s.key("keys", prefix)
		var sessions state.Sessions
		read := s.pick.keys(prefix)
		keysAndSessions := func(ctx context.Context, c *client, q question) (map[string]state.Key, answer, error) {
			found, a, err := read(ctx, c, q)
			if err != nil {
				return nil, a, err
			}
			s.mu.Lock()
			ending := keys.Ending(found)
			s.mu.Unlock()
			sessions = state.Sessions{}
			if ending {
				sessions = s.alive(ctx)
			}
			return found, a, nil
		}
		run(func(ctx context.Context) {
			restore(ctx, s, key, keys.Restore)
			source[string, state.Key]{
				scope: s, endpoint: endpointKV + prefix, read: keysAndSessions, compare: cmp.Compare[string],
				limit: limit{metadata.AttributeConsulObjectKey, s.cfg.KV.Limit, "kv::limit"},
				step: func(now time.Time, o state.Observation[string, state.Key]) (*state.Gap, []state.Effect) {
					return keys.Step(now, o, sessions)
				},
				fork: func() step[string, state.Key] {
					clone := keys.Clone()
					return func(now time.Time, o state.Observation[string, state.Key]) (*state.Gap, []state.Effect) {
						return clone.Step(now, o, state.Sessions{}) // How a hold ended meanwhile is not known any more.
					}
				},
				save: func() any { return keys.Save() }, key: key,
			}.follow(ctx)
		})
	}
}

// alive returns the sessions as the leader knows them, also those that are not
// observed. The watch of sessions says what is wrong when they cannot be read.
func (s *scope) alive(ctx context.Context) state.Sessions {
	found, a, err := getIndexed[[]struct {
		ID string `answer:"required"`
	}](ctx, s.client, endpointSessions, question{sure: true})
	if err != nil || a.Filtered {
		return state.Sessions{}
	}
	alive := make(map[string]bool, len(found))
	for _, session := range found {
		alive[session.ID] = true
	}
	return state.Sessions{Known: true, Alive: alive, Index: a.Index}
}
