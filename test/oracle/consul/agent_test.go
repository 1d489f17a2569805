// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// agentServices registers services on the agent by the vendor's CLI, and has their TTL
// checks pass, fail and expire. The agent brings each change to the catalog.
type agentServices struct {
	*system
	node, dir string
	domain    *oracle.Domain
}

const (
	agentPrefix = "agent-"
	// shortTTL is the TTL of the check that expires.
	shortTTL = 2 * time.Second
)

func (s *system) agentServices(node string) oracle.Actor {
	a := &agentServices{system: s, node: node, dir: s.T.TempDir()}
	a.domain = s.domain(a.read)
	a.domain.Unsettled = true
	return oracle.Actor{Name: "agent", Pause: 300 * time.Millisecond, Act: a.act, End: a.end}
}

func (a *agentServices) read(ctx context.Context) (map[string]string, error) {
	states := map[string]string{}
	node, _, err := a.client.Catalog().Node(a.node, sure(ctx))
	if err != nil {
		return nil, err
	}
	if node != nil {
		for _, service := range node.Services {
			if service.Service != "consul" {
				states[serviceObject(service.Service)] = present
			}
		}
	}
	checks, _, err := a.client.Health().Node(a.node, sure(ctx))
	for _, check := range checks {
		if check.CheckID != "serfHealth" {
			states[checkObject(a.node, check.CheckID)] = check.Status
		}
	}
	return states, err
}

func (a *agentServices) act(ctx context.Context, random *rand.Rand) string {
	id := fmt.Sprintf("%s%d", agentPrefix, random.IntN(4))
	kind, status := random.IntN(12), statuses[random.IntN(3)]
	if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return a.domain.Rested(a.domain.Objects()...) }) {
		return ""
	}
	a.domain.Poll(ctx) // The agent may have brought something late.
	from := time.Now()
	what, check, want, err := a.do(ctx, kind, id, status)
	if err == nil && check != "" { // The agent brings it to the catalog.
		waiting, enough := context.WithTimeout(ctx, 3*time.Second)
		oracle.Until(waiting, 10*time.Millisecond, func() bool {
			states, err := a.read(waiting)
			return err == nil && states[checkObject(a.node, check)] == want
		})
		enough()
	}
	a.domain.Record(ctx, from)
	if err != nil {
		return "failed request"
	}
	return what
}

// do does one operation, and returns which check has which status once the catalog has it.
func (a *agentServices) do(ctx context.Context, kind int, id, status string) (what, check, want string, err error) {
	check = "ttl-" + id
	there := a.domain.State(checkObject(a.node, check)) != oracle.Absent
	maintained := a.domain.State(checkObject(a.node, "_service_maintenance:"+id)) != oracle.Absent
	switch {
	case !there:
		return "consul services register", check, api.HealthPassing, a.registerByCLI(ctx, id, time.Hour)
	case kind == 0:
		return "consul services deregister", check, oracle.Absent, a.cli(ctx, "services", "deregister", "-id="+id)
	case kind == 1 && maintained:
		return "consul maint -disable -service", "_service_maintenance:" + id, oracle.Absent, a.cli(ctx, "maint", "-disable", "-service="+id)
	case kind == 1:
		return "consul maint -enable -service", "_service_maintenance:" + id, api.HealthCritical, a.cli(ctx, "maint", "-enable", "-service="+id, "-reason=by the oracle")
	case kind == 2 && a.domain.State(checkObject(a.node, "_node_maintenance")) != oracle.Absent:
		return "consul maint -disable", "_node_maintenance", oracle.Absent, a.cli(ctx, "maint", "-disable")
	case kind == 2:
		return "consul maint -enable", "_node_maintenance", api.HealthCritical, a.cli(ctx, "maint", "-enable", "-reason=by the oracle")
	case kind == 3:
		// It is registered anew with a short TTL, and nobody says that it passes.
		if err := a.registerByCLI(ctx, id, shortTTL); err != nil {
			return "", "", "", err
		}
		return "TTL ran out", check, api.HealthCritical, nil
	default:
		return "TTL check updated", check, status, a.client.Agent().UpdateTTL(check, "by the oracle", status)
	}
}

func (a *agentServices) registerByCLI(ctx context.Context, id string, ttl time.Duration) error {
	definition, err := json.Marshal(map[string]any{"service": map[string]any{
		"name": id + "-service", "id": id, "port": 80,
		"check": map[string]any{"id": "ttl-" + id, "name": "TTL", "ttl": ttl.String(), "status": api.HealthPassing},
	}})
	if err != nil {
		return err
	}
	file := filepath.Join(a.dir, id+".json")
	if err := os.WriteFile(file, definition, 0o600); err != nil {
		return err
	}
	return a.cli(ctx, "services", "register", file)
}

// end leaves no maintenance, so that the node's services show their own health.
func (a *agentServices) end(ctx context.Context) {
	oracle.Until(ctx, 20*time.Millisecond, func() bool { return a.domain.Rested(a.domain.Objects()...) })
	from := time.Now()
	_ = a.cli(ctx, "maint", "-disable")
	oracle.Sleep(ctx, time.Second)
	a.domain.Record(ctx, from)
}
