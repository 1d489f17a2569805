// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// What is watched: each function here is the request of one watch.

// selection is what the configuration picks of what there is.
type selection struct {
	cfg                       *Config
	services, nodes, keyNames pattern.Matcher
	allNodes                  bool // no node is left out
}

func newSelection(cfg *Config) (*selection, error) {
	services, err1 := cfg.Services.Compile()
	nodes, err2 := cfg.Nodes.Compile()
	keys, err3 := cfg.KV.Compile()
	all := len(cfg.Nodes.Include)+len(cfg.Nodes.Exclude) == 0
	return &selection{cfg: cfg, services: services, nodes: nodes, keyNames: keys, allNodes: all}, errors.Join(err1, err2, err3)
}

// Only what is needed is decoded of a check: its output can be huge.
type checkEntry struct {
	Node, CheckID, Status        string `answer:"required"`
	Name, ServiceID, ServiceName string
	ModifyIndex                  uint64
}

type checkEntryWithOutput struct {
	checkEntry
	Output string
}

func (p *selection) checks(ctx context.Context, c *client, q question) (state.Checks, answer, error) {
	if p.cfg.Checks.OutputLimit == 0 {
		return readChecks(ctx, p, c, q, func(e checkEntry) (checkEntry, string) { return e, "" })
	}
	return readChecks(ctx, p, c, q, func(e checkEntryWithOutput) (checkEntry, string) {
		return e.checkEntry, truncate(e.Output, p.cfg.Checks.OutputLimit)
	})
}

func readChecks[E any](ctx context.Context, p *selection, c *client, q question, split func(E) (checkEntry, string)) (state.Checks, answer, error) {
	entries, a, err := getIndexed[[]E](ctx, c, endpointChecks, q)
	if err != nil {
		return nil, a, err
	}
	a.Objects = len(entries)
	checks := make(state.Checks, len(entries))
	for _, entry := range entries {
		e, output := split(entry)
		if !p.nodes.Match(e.Node) || e.ServiceName != "" && !p.services.Match(e.ServiceName) {
			continue
		}
		checks[state.CheckID{Node: e.Node, Check: e.CheckID}] = state.Check{
			Name: e.Name, Service: e.ServiceName, ServiceID: e.ServiceID,
			Status: state.Status(e.Status), Index: e.ModifyIndex, Output: output,
		}
	}
	return checks, a, nil
}

// truncate does not cut characters in two.
func truncate(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

func (p *selection) catalogServices(ctx context.Context, c *client, q question) (map[string]state.Service, answer, error) {
	tags, a, err := getIndexed[map[string]tagList](ctx, c, endpointServices, q)
	if err != nil {
		return nil, a, err
	}
	a.Objects = len(tags)
	services := make(map[string]state.Service, len(tags))
	for name := range tags {
		if p.services.Match(name) {
			services[name] = state.Service{}
		}
	}
	return services, a, nil
}

// tagList is a list of tags, which are not needed.
type tagList struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (tagList) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		return &json.UnmarshalTypeError{Value: "a value", Type: reflect.TypeFor[[]string](), Field: "tags"}
	}
	return nil
}

func (p *selection) catalogNodes(ctx context.Context, c *client, q question) (map[string]state.Node, answer, error) {
	entries, a, err := getIndexed[[]struct {
		Node    string `answer:"required"`
		Address string
	}](ctx, c, endpointNodes, q)
	if err != nil {
		return nil, a, err
	}
	a.Objects = len(entries)
	nodes := make(map[string]state.Node, len(entries))
	for _, e := range entries {
		if p.nodes.Match(e.Node) {
			nodes[e.Node] = state.Node{Address: e.Address}
		}
	}
	return nodes, a, nil
}

func (p *selection) sessions(ctx context.Context, c *client, q question) (map[string]state.Session, answer, error) {
	entries, a, err := getIndexed[[]struct {
		ID, Node            string `answer:"required"`
		Name, Behavior, TTL string
	}](ctx, c, endpointSessions, q)
	if err != nil {
		return nil, a, err
	}
	a.Objects = len(entries)
	sessions := make(map[string]state.Session, len(entries))
	for _, e := range entries {
		if p.nodes.Match(e.Node) {
			sessions[e.ID] = state.Session{Name: e.Name, Node: e.Node, Behavior: e.Behavior, TTL: e.TTL}
		}
	}
	return sessions, a, nil
}

// keys reads the keys under a prefix. Consul sends the values along; they are
// dropped at once.
func (p *selection) keys(prefix string) read[string, state.Key] {
	return func(ctx context.Context, c *client, q question) (map[string]state.Key, answer, error) {
		pairs, a, err := readKeys(ctx, c, prefix, q)
		if err != nil {
			return nil, a, err
		}
		a.Objects = len(pairs)
		keys := make(map[string]state.Key, len(pairs))
		for _, pair := range pairs {
			if !p.keyNames.Match(pair.Key) {
				continue
			}
			key := state.Key{
				Flags: pair.Flags, Session: pair.Session,
				LockIndex: pair.LockIndex, CreateIndex: pair.CreateIndex, ModifyIndex: pair.ModifyIndex,
			}
			if p.cfg.KV.Fingerprint {
				sum := sha256.Sum256(pair.Value)
				key.Value = state.Fingerprint{SHA256: hex.EncodeToString(sum[:]), Size: len(pair.Value)}
			}
			keys[pair.Key] = key
		}
		return keys, a, nil
	}
}

type keyEntry struct {
	Key                      string `answer:"required"`
	CreateIndex, ModifyIndex uint64 `answer:"required"`
	Flags, LockIndex         uint64
	Session                  string
	Value                    []byte
}

// readKeys returns the keys under a prefix. To Consul, none are "not found", so it never
// sends an empty list.
func readKeys(ctx context.Context, c *client, prefix string, q question) ([]keyEntry, answer, error) {
	q.recurse = true
	pairs, a, err := getIndexed[[]keyEntry](ctx, c, endpointKV+prefix, q)
	if err == nil && pairs != nil && len(pairs) == 0 {
		err = fmt.Errorf("%s%s: %w: %w", endpointKV, prefix, errForeign, &jsonanswer.LackError{})
	}
	return pairs, a, err
}

// maxUserEvents is how many user events an agent keeps.
const maxUserEvents = 256

// userEvents reads what the agent has heard of. After its restart it hears from
// the others again of what it knew before: as many are remembered here.
func (p *selection) userEvents() read[string, state.UserEvent] {
	var heard map[string]state.UserEvent
	return func(ctx context.Context, c *client, q question) (map[string]state.UserEvent, answer, error) {
		q.agent = true
		entries, a, err := getIndexed[[]struct {
			ID      string `answer:"required"`
			Name    string
			Payload []byte
			LTime   uint64
		}](ctx, c, endpointUserEvents, q)
		if err != nil {
			return nil, a, err
		}
		events := make(map[string]state.UserEvent, len(entries))
		for _, e := range entries {
			key := fmt.Sprintf("%020d %s", e.LTime, e.ID)
			events[key] = state.UserEvent{ID: e.ID, Name: e.Name, Size: len(e.Payload)}
			delete(heard, key)
		}
		earlier := slices.Sorted(maps.Keys(heard))
		for _, key := range earlier[max(0, len(earlier)-maxUserEvents):] {
			events[key] = heard[key]
		}
		heard = maps.Clone(events)
		return events, a, nil
	}
}

type rootEntry struct {
	ID       string `answer:"required"`
	Active   bool
	NotAfter *time.Time
	RootCert string
}

// activeRoot reads the active root certificate, under the key "active".
func (p *selection) activeRoot(ctx context.Context, c *client, q question) (map[string]state.Root, answer, error) {
	roots, a, err := getIndexed[struct {
		Roots []rootEntry `answer:"required"`
	}](ctx, c, endpointRoots, q)
	if refusal(err) == 500 && strings.Contains(err.Error(), "Connect must be enabled") {
		return nil, answer{Off: true}, nil // There is none, and that is no failure.
	}
	if err != nil {
		return nil, a, err
	}
	for _, r := range roots.Roots {
		if !r.Active {
			continue
		}
		root := state.Root{ID: r.ID}
		if root.NotAfter, err = expiry(r); err != nil {
			return nil, a, fmt.Errorf("%s: root certificate %s: %w", endpointRoots, r.ID, err)
		}
		return map[string]state.Root{"active": root}, a, nil
	}
	return nil, a, nil
}

// bound keeps the objects up to limit: first those that were kept before, as
// the others would look as if they came and those as if they went, then the
// first in the order of their keys. It returns how many there are beyond.
func bound[K comparable, V any](objects, before map[K]V, limit int, compare func(a, b K) int) (beyond int) {
	beyond = len(objects) - limit
	if beyond <= 0 {
		return 0
	}
	var known, others []K
	for key := range objects {
		if _, ok := before[key]; ok {
			known = append(known, key)
		} else {
			others = append(others, key)
		}
	}
	slices.SortFunc(known, compare)
	slices.SortFunc(others, compare)
	for _, key := range append(known, others...)[limit:] {
		delete(objects, key)
	}
	return beyond
}
