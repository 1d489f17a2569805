// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// identifyTries is how often the name of the datacenter is asked for while
// Consul answers everything else.
const identifyTries = 3

// scope is one datacenter, or the agent itself, and what is known of it.
type scope struct {
	*watcher
	client *client
	name   string // as configured; empty: the datacenter of the agent

	// What is followed here.
	datacenter, agent bool

	asking sync.Mutex // for the name of the datacenter
	asked  bool
	tries  int

	identity sync.Mutex
	known    string // name of the datacenter; empty: not known
	cluster  string // what the IDs of traces depend on; empty: nothing was told yet

	mu     sync.Mutex
	era    context.Context // until Consul's indexes go back
	ended  context.CancelFunc
	up     map[string]bool   // whether the last use of an endpoint succeeded
	lost   map[string]bool   // endpoints that last gave no answer at all
	beyond map[string]beyond // by endpoint
	partly map[string]bool   // whether the token does not show all of an endpoint

	health   state.Health
	services state.Register[state.Service]
	nodes    state.Register[state.Node]
	sessions state.Register[state.Session]
	keys     map[string]*state.Keys // by prefix
	config   state.Register[state.ConfigEntry]
	roots    state.Register[state.Root]
	leader   state.Leader
	members  map[state.Pool]*state.Register[state.Member]
	events   state.Register[state.UserEvent]
	token    state.Token
}

func newScope(w *watcher, client *client, name string) *scope {
	initial := w.cfg.EmitInitialState
	s := &scope{
		watcher:  w,
		client:   client,
		name:     name,
		known:    name,
		up:       map[string]bool{},
		lost:     map[string]bool{},
		beyond:   map[string]beyond{},
		partly:   map[string]bool{},
		health:   state.Health{TellInitial: initial, MaxServices: w.cfg.Services.Limit},
		services: state.Register[state.Service]{TellInitial: initial},
		nodes:    state.Register[state.Node]{TellInitial: initial},
		sessions: state.Register[state.Session]{TellInitial: initial},
		config:   state.Register[state.ConfigEntry]{TellInitial: initial},
		roots:    state.Register[state.Root]{TellInitial: initial},
		leader:   state.Leader{TellInitial: initial},
		events:   state.Register[state.UserEvent]{TellInitial: initial},
		keys:     map[string]*state.Keys{},
		members: map[state.Pool]*state.Register[state.Member]{
			state.LAN: {TellInitial: initial},
			state.WAN: {TellInitial: initial},
		},
	}
	s.era, s.ended = context.WithCancel(context.Background())
	for _, prefix := range w.cfg.KV.Prefixes {
		s.keys[prefix] = &state.Keys{TellInitial: initial}
	}
	return s
}

// set takes in the outcome of one use of an endpoint.
func (s *scope) set(endpoint string, err error) {
	s.mu.Lock()
	s.up[endpoint] = err == nil
	if unreachable(err) {
		s.lost[endpoint] = true
	} else {
		delete(s.lost, endpoint)
	}
	reached := len(s.lost) == 0
	s.mu.Unlock()
	if unreachable(err) { // One line says it for all endpoints.
		s.Condition.Set(agentCondition, err)
		return
	}
	s.Condition.Set(s.label(endpoint), err)
	if err == nil && reached {
		s.Condition.Set(agentCondition, nil)
	}
}

// notAsked takes in that a cycle ended before it asked an endpoint.
func (s *scope) notAsked(endpoints ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, endpoint := range endpoints {
		if s.up[endpoint] {
			s.up[endpoint] = false
		}
	}
}

// presentEra returns the era: a context that is done when Consul has restored a
// snapshot. Indexes of before may not be reached again for long, so that who
// waits for a newer one would miss it.
func (s *scope) presentEra() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.era
}

// endEra begins another era, and returns it. Consul does not tell that it
// restores a snapshot, but answers then at once all that wait, with what was
// before.
func (s *scope) endEra(era context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.era == era {
		s.ended()
		s.era, s.ended = context.WithCancel(context.Background())
	}
	return s.era
}

// label names a part of this scope in the receiver's condition.
func (s *scope) label(part string) string {
	if s.name == "" {
		return part
	}
	return part + " of datacenter " + s.name
}

// identify finds out the datacenter, which the IDs of traces depend on, before
// the first observation. A Consul that refuses this alone is no obstacle.
func (s *scope) identify(ctx context.Context) error {
	s.asking.Lock()
	defer s.asking.Unlock()
	if s.asked || s.identified() != "" {
		return nil
	}
	usage, err := s.client.Usage(ctx)
	code := refusal(err)
	if err != nil && (code == 0 || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError) {
		if _, absent := s.client.Peers(ctx); absent != nil {
			return err
		}
		// Consul answers, but not this.
		if s.tries++; s.tries < identifyTries {
			return err
		}
	}
	s.learn(usage.Datacenter)
	s.asked = err == nil || !strings.Contains(err.Error(), "ACL not found") // else another token is to come
	return nil
}

// learn takes in the name of the datacenter when the token may read it at last.
func (s *scope) learn(datacenter string) {
	s.identity.Lock()
	defer s.identity.Unlock()
	s.known = cmp.Or(s.known, datacenter)
}

// identified returns the name of the datacenter, or nothing.
func (s *scope) identified() string {
	s.identity.Lock()
	defer s.identity.Unlock()
	return s.known
}

// render tells of effects. The IDs of traces stay what they were at first, even
// if the name of the datacenter is learnt later.
func (s *scope) render(now time.Time, effects []state.Effect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.Silence()
	}
	s.identity.Lock()
	s.cluster = cmp.Or(s.cluster, s.known, address.HostPort(s.cfg.endpoint()))
	cluster := s.cluster
	s.identity.Unlock()
	return s.story.Render(now, cluster, s.resource(metadata.NewResourceBuilder(s.cfg.Events.ResourceAttributes)), effects)
}

// resource identifies the Consul that is observed. Several datacenters that one
// agent tells of are several instances, or Prometheus would take them for one.
func (s *scope) resource(rb *metadata.ResourceBuilder) pcommon.Resource {
	instance := address.HostPort(s.cfg.endpoint())
	if s.name != "" {
		instance += "/" + s.name
	}
	rb.SetServiceName("consul")
	rb.SetServiceInstanceID(instance)
	if datacenter := s.identified(); datacenter != "" {
		rb.SetConsulDatacenter(datacenter)
	}
	return rb.Emit()
}

// restore takes in what an earlier process saved under key. What cannot be read
// is said, and done without.
func restore[T any](ctx context.Context, s *scope, key string, restore func(T)) {
	var saved T
	found, err := s.store.Load(ctx, key, &saved)
	s.Condition.Set(s.label("storage of "+key), err)
	if found && err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		restore(saved)
	}
}

// keep stores what save returns under key, and says whether it could.
func (s *scope) keep(ctx context.Context, key string, save func() any) error {
	s.mu.Lock()
	saved := save()
	s.mu.Unlock()
	err := s.store.Save(ctx, key, saved)
	s.Condition.Set(s.label("storage of "+key), err)
	return err
}

// key names what is stored for a part of this scope.
func (s *scope) key(parts ...string) string {
	return strings.Join(append([]string{s.name}, parts...), "/")
}
