// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

const (
	// missedAfter is how long a member that was alive is not there before it is
	// missed. One that leaves or fails is there, and said to. An agent that could not
	// join at its start tries again after 30 seconds.
	missedAfter = 45 * time.Second

	// leaderEvery is how often the leader is asked for, so that a time without
	// one is seen: the request is small, and needs no ACL.
	leaderEvery = time.Second

	// tokenEvery is how often the receiver's own token is looked up.
	tokenEvery = time.Minute
)

// sight is a value that was polled.
type sight[T any] struct {
	value T
	gap   bool // the last poll failed
}

// poll observes one value again and again until ctx ends. step takes in what was
// observed, and fork returns a step that goes on from the present state and leaves
// it as it is; both are called with scope locked.
func poll[T any](ctx context.Context, s *scope, endpoint string, every time.Duration,
	read func(context.Context) (T, error), step func(time.Time, sight[T]) []state.Effect,
	fork func() func(time.Time, sight[T]) []state.Effect, commit func(context.Context)) {
	queries := rate.NewLimiter(rate.Every(every), 1)
	gap := false
	watch.Loop[sight[T]]{
		Next: func(ctx context.Context) (sight[T], error) {
			if !gap { // The loop paces what fails.
				if err := queries.Wait(ctx); err != nil {
					return sight[T]{}, err
				}
			}
			seen := sight[T]{gap: gap}
			err := s.identify(ctx)
			if err == nil {
				seen.value, err = read(ctx)
			}
			gap = err != nil
			return seen, err
		},
		Step: func(now time.Time, seen sight[T]) watch.Telemetry {
			s.mu.Lock()
			effects := step(now, seen)
			s.mu.Unlock()
			return s.render(now, effects)
		},
		Fork: func() func(time.Time, sight[T], bool) watch.Telemetry {
			s.mu.Lock()
			step := fork()
			s.mu.Unlock()
			return func(now time.Time, seen sight[T], gap bool) watch.Telemetry {
				var missed []state.Effect
				if gap {
					missed = []state.Effect{state.Missed{What: endpoint}}
				}
				seen.gap = seen.gap || gap
				return s.render(now, append(missed, step(now, seen)...))
			}
		},
		Delivery:  s.Delivery(),
		Commit:    commit,
		Condition: func(err error) { s.set(endpoint, err) },
	}.Run(ctx)
}

// nothingToReport is the fork of a poll whose steps have no effects.
func nothingToReport[T any]() func(time.Time, sight[T]) []state.Effect {
	return func(time.Time, sight[T]) []state.Effect { return nil }
}

func (s *scope) followLeader(ctx context.Context) {
	key := s.key("leader")
	restore(ctx, s, key, s.leader.Restore)
	step := func(now time.Time, seen sight[string]) []state.Effect {
		return s.leader.Step(now, seen.value, seen.gap)
	}
	fork := func() func(time.Time, sight[string]) []state.Effect {
		leader := s.leader.Clone()
		return func(now time.Time, seen sight[string]) []state.Effect { return leader.Step(now, seen.value, seen.gap) }
	}
	poll(ctx, s, endpointLeader, leaderEvery, s.client.Leader, step, fork, func(ctx context.Context) {
		_ = s.keep(ctx, key, func() any { return s.leader.Save() }) // It is tried again in a second.
	})
}

// followToken follows the receiver's own token, if it has one.
func (s *scope) followToken(ctx context.Context) {
	off := false
	read := func(ctx context.Context) (state.Token, error) {
		if off {
			return state.Token{}, nil
		}
		token, err := s.client.OwnToken(ctx)
		if refusal(err) == http.StatusUnauthorized && strings.Contains(err.Error(), "ACL support disabled") {
			off = true // Consul would log it as an error each time.
			return state.Token{}, nil
		}
		return token, err
	}
	var expiry state.Expiry
	step := func(now time.Time, seen sight[state.Token]) []state.Effect {
		s.token = seen.value
		return expiry.Step(now, seen.value, s.cfg.ACLToken.ExpiryWarning)
	}
	fork := func() func(time.Time, sight[state.Token]) []state.Effect {
		before := expiry
		return func(now time.Time, seen sight[state.Token]) []state.Effect {
			return before.Step(now, seen.value, s.cfg.ACLToken.ExpiryWarning)
		}
	}
	poll(ctx, s, endpointToken, tokenEvery, read, step, fork, nil)
}

// OwnToken looks the receiver's own token up.
func (c *client) OwnToken(ctx context.Context) (state.Token, error) {
	entry, _, err := get[struct {
		AccessorID     string `answer:"required"`
		ExpirationTime time.Time
	}](ctx, c, endpointToken, question{})
	return state.Token{Accessor: entry.AccessorID, Expires: entry.ExpirationTime}, err
}

// members reads a pool of the agent. An agent that is no server is in no WAN
// pool, and says so with an empty one. One that has just started does not know
// the others yet: who was alive is missed when it is not there for a while.
func (p *selection) members(pool state.Pool) read[string, state.Member] {
	alive := map[string]absence{}
	return func(ctx context.Context, c *client, _ question) (map[string]state.Member, answer, error) {
		entries, a, err := readMembers(ctx, c, pool)
		if err != nil {
			return nil, a, err
		}
		members := make(map[string]state.Member, len(entries))
		for _, m := range entries {
			node, _, _ := strings.Cut(m.Name, ".") // In the WAN the datacenter follows.
			if p.nodes.Match(m.Name) || p.nodes.Match(node) {
				members[m.Name] = state.Member{
					Pool:    pool,
					Status:  memberStatus(*m.Status),
					Address: net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))),
				}
			}
		}
		missed(time.Now(), alive, members, a.Filtered)
		return members, a, nil
	}
}

type memberEntry struct {
	Name   string `answer:"required"`
	Addr   string
	Port   uint16
	Status *int `answer:"required"`
}

// errNoMembers is the error of an answer without the agent itself, which is in its own
// pools. Consul says that it hides something only to who has a token.
var errNoMembers = errors.New("the answer names no member, not even the agent: see the ACLs in the receiver's README, and check endpoint")

// readMembers reads a pool. In the place of a WAN pool, an agent that is no server has
// null.
func readMembers(ctx context.Context, c *client, pool state.Pool) (entries []memberEntry, a answer, err error) {
	endpoint := pools[pool]
	list, a, err := getLocal[json.RawMessage](ctx, c, endpoint, question{})
	if err != nil {
		return nil, a, err
	}
	if pool == state.WAN && string(list) == "null" {
		_, _, err = readMembers(ctx, c, state.LAN) // Others have null for everything.
		return nil, a, err
	}
	if err = jsonanswer.Decode(bytes.NewReader(list), &entries); err == nil && len(entries) == 0 && !a.Filtered {
		err = errNoMembers
	}
	if err != nil {
		return nil, a, explain(endpoint, err)
	}
	return entries, a, nil
}

// absence is that of a member that was alive.
type absence struct {
	state.Member
	since time.Time // zero: it is there
}

// missed adds to the members those that were alive, are not there now, and are not
// missed yet. When the token does not show all there are, it may hide them.
func missed(now time.Time, alive map[string]absence, members map[string]state.Member, filtered bool) {
	for name, m := range alive {
		_, there := members[name]
		switch {
		case there, filtered, !m.since.IsZero() && now.Sub(m.since) >= missedAfter:
			delete(alive, name)
			continue
		case m.since.IsZero():
			m.since = now
			alive[name] = m
		}
		members[name] = m.Member
	}
	for name, m := range members {
		if _, absent := alive[name]; !absent && m.Status == state.Alive {
			alive[name] = absence{Member: m}
		}
	}
}

// memberStatus reads the number that serf gives a status.
func memberStatus(s int) state.MemberStatus {
	switch s {
	case 2:
		return state.Leaving
	case 3:
		return state.Left
	case 4:
		return state.Failed
	default:
		return state.Alive
	}
}

// configReader reads all configuration entries, when any has changed: one
// index counts for all kinds.
type configReader struct {
	last    answer
	unknown map[string]bool // kinds that this Consul does not know
	entries map[string]state.ConfigEntry
}

func (r *configReader) read(ctx context.Context, c *client, q question) (map[string]state.ConfigEntry, answer, error) {
	_, a, err := readKind(ctx, c, api.MeshConfig, q)
	if err != nil {
		return nil, a, err
	}
	if r.entries != nil && a.Index == r.last.Index && a.Token == r.last.Token {
		return maps.Clone(r.entries), r.last, nil
	}
	entries := map[string]state.ConfigEntry{}
	for _, kind := range configKinds {
		if r.unknown[kind] {
			continue // Consul would log it as an error each time.
		}
		found, of, err := readKind(ctx, c, kind, q)
		if code := refusal(err); code != 0 && strings.Contains(err.Error(), "invalid config entry kind") {
			if r.unknown == nil {
				r.unknown = map[string]bool{}
			}
			r.unknown[kind] = true
			continue
		}
		if err != nil {
			return nil, a, err
		}
		a.Filtered = a.Filtered || of.Filtered
		for _, e := range found {
			entries[e.Kind+"/"+e.Name] = e
		}
	}
	r.last, r.entries = a, entries
	return maps.Clone(entries), a, nil // What is beyond the limit is taken out of it.
}

func readKind(ctx context.Context, c *client, kind string, q question) ([]state.ConfigEntry, answer, error) {
	found, a, err := getIndexed[[]struct {
		Name        string `answer:"required"`
		ModifyIndex uint64
	}](ctx, c, endpointConfig+kind, q)
	entries := make([]state.ConfigEntry, 0, len(found))
	for _, e := range found {
		entries = append(entries, state.ConfigEntry{Kind: kind, Name: e.Name, Index: e.ModifyIndex})
	}
	return entries, a, err
}

// configKinds are the kinds that Consul has.
var configKinds = []string{
	api.ServiceDefaults, api.ProxyDefaults, api.ServiceRouter, api.ServiceSplitter, api.ServiceResolver,
	api.IngressGateway, api.TerminatingGateway, api.ServiceIntentions, api.MeshConfig, api.ExportedServices,
	api.SamenessGroup, api.APIGateway, api.TCPRoute, api.HTTPRoute, api.InlineCertificate,
	api.FileSystemCertificate, api.JWTProvider, api.RateLimitIPConfig,
}

// expiry returns when a root certificate expires. Older Consuls do not say it.
func expiry(root rootEntry) (time.Time, error) {
	if root.NotAfter != nil {
		return *root.NotAfter, nil
	}
	block, _ := pem.Decode([]byte(root.RootCert))
	if block == nil {
		return time.Time{}, errors.New("it is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("it cannot be parsed: %w", err)
	}
	return certificate.NotAfter, nil
}
