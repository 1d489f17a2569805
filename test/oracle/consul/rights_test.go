// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// rights are those of the receiver's README, and hiding takes away the objects of one
// fleet and one writer.
const (
	management = "7d1b4c1e-52b0-4b0e-9d4a-0a5a4f0f2f11"
	rights     = `
operator = "read"
mesh     = "read"
node_prefix ""    { policy = "read" }
service_prefix "" {
  policy     = "read"
  intentions = "read"
}
session_prefix "" { policy = "read" }
event_prefix ""   { policy = "read" }
agent_prefix ""   { policy = "read" }
key_prefix "kv/"    { policy = "read" }
key_prefix "locks/" { policy = "read" }
key_prefix "sem/"   { policy = "read" }
`
	hiding = `
node_prefix "%[1]s-"    { policy = "deny" }
service_prefix "%[1]s-" { policy = "deny" }
key_prefix "kv/writer-%[2]d/" { policy = "deny" }
`
	hiddenNumber = 1 // of the fleet and of the writer
	// rightsTTL is how long Consul goes on with the rights that a token had.
	rightsTTL = time.Second
)

// TestRights narrows and widens the collector's token. What it hides has neither come nor
// gone.
func TestRights(t *testing.T) {
	t.Parallel()
	all := newRun(t, narrow)
	s := all.startDatacenter(t, lab.ServerOptions{Token: management, ExtraHCL: fmt.Sprintf(`
acl {
  policy_ttl = %[1]q
  token_ttl  = %[1]q
  role_ttl   = %[1]q
}
`, rightsTTL)})
	policy, _, err := s.client.ACL().PolicyCreate(&api.ACLPolicy{Name: "collector", Rules: rights}, nil)
	require.NoError(t, err)
	token, _, err := s.client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	all.observe(t, token.SecretID, "")

	actors := []oracle.Actor{s.fleet(0), s.visitor(0), s.writer(0, false), s.locker(0)}
	shown := len(s.domains)
	actors = append(actors, s.fleet(hiddenNumber), s.writer(hiddenNumber, false))
	for _, d := range s.domains[shown:] {
		d.Hidden = true
	}
	s.run(t, actors, []oracle.Fault{
		s.narrowed(policy),
		s.KillFault(s.sink, s.collector, "collector killed", s.observed),
		s.narrowed(policy),
		s.serverRestarted(0),
	})
}

// narrowed takes rights away from the collector's token, and gives them back.
func (s *system) narrowed(policy *api.ACLPolicy) oracle.Fault {
	const name = "token narrowed"
	change := func(rules string) (changed oracle.Window, err error) {
		began := time.Now()
		changed = oracle.Window{From: began.Add(-minCatalogTurn), Why: "rights changed", Silent: true}
		policy.Rules = rules
		if _, _, err := s.client.ACL().PolicyUpdate(policy, nil); err != nil {
			return changed, err
		}
		// They count as soon as Consul resolves the token anew, and the watches read again.
		changed.Until = time.Now().Add(rightsTTL + 2*minCatalogTurn)
		return changed, nil
	}
	return oracle.Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		narrow, err := change(rights + fmt.Sprintf(hiding, fleetNames[hiddenNumber], hiddenNumber))
		if err != nil {
			return err
		}
		oracle.Sleep(ctx, 3*time.Second+time.Duration(random.Int64N(int64(4*time.Second))))
		wide, err := change(rights)
		if err != nil {
			return err
		}
		if err := s.observed(ctx); err != nil {
			return err
		}
		oracle.Sleep(ctx, time.Until(wide.Until))
		s.AddWindow(narrow)
		s.AddWindow(wide)
		s.AddWindow(oracle.Window{From: narrow.From, Until: wide.Until, Why: name, Silent: true, Hidden: true})
		return nil
	}}
}

// hides says whether the token could not see the object of a span at times.
func (s *system) hides(span oracle.Span) bool {
	of := strings.ToLower(fleetNames[hiddenNumber] + "-")
	return (strings.HasPrefix(strings.ToLower(span.Attributes[attrNode]), of) || strings.HasPrefix(strings.ToLower(span.Attributes[attrService]), of)) &&
		slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool { return w.Hidden })
}
