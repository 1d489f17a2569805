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
	"strings"
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
	expiring  string // the object of the check whose TTL runs out
}

// maintenanceObject is the maintenance of an instance, or of a node if there is none.
func maintenanceObject(node, instance string) string {
	return "maintenance/" + nodeName(node) + "/" + instance
}

// isMaintenance says whether a check stands for the maintenance of what it is about.
func isMaintenance(check string) bool {
	return check == api.NodeMaint || strings.HasPrefix(check, api.ServiceMaintPrefix)
}

const (
	agentPrefix = "agent-"
	// shortTTL is the TTL of the check that expires.
	shortTTL = 2 * time.Second
)

func (s *system) agentServices(node string) oracle.Actor {
	a := &agentServices{system: s, node: node, dir: s.T.TempDir()}
	a.domain = s.catalogDomain(a.read)
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
		switch {
		case check.CheckID == "serfHealth", check.CheckID == checkedCheck:
		case isMaintenance(check.CheckID):
			states[maintenanceObject(a.node, check.ServiceID)] = present
		default:
			states[checkObject(a.node, check.CheckID)] = check.Status
		}
	}
	return states, err
}

func (a *agentServices) act(ctx context.Context, random *rand.Rand) string {
	if a.expiring != "" {
		a.domain.Poll(ctx)
		if a.domain.State(a.expiring) == api.HealthPassing {
			return ""
		}
		a.expiring = ""
		return "TTL ran out"
	}
	id := fmt.Sprintf("%s%d", agentPrefix, random.IntN(4))
	kind, status := random.IntN(12), statuses[random.IntN(3)]
	if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return a.domain.AllRested() }) {
		return ""
	}
	a.domain.Poll(ctx) // The agent may have brought something late.
	from := time.Now()
	what, object, want, err := a.do(ctx, kind, id, status)
	if err == nil { // The agent brings it to the catalog.
		waiting, enough := context.WithTimeout(ctx, 3*time.Second)
		oracle.Until(waiting, 10*time.Millisecond, func() bool {
			states, err := a.read(waiting)
			return err == nil && states[object] == want
		})
		enough()
	}
	a.domain.Record(ctx, from)
	if err != nil {
		return "failed request"
	}
	return what
}

// do does one operation, and returns which object has which state once the catalog has it.
func (a *agentServices) do(ctx context.Context, kind int, id, status string) (what, object, want string, err error) {
	checkID := "ttl-" + id
	check, service, node := checkObject(a.node, checkID), maintenanceObject(a.node, id), maintenanceObject(a.node, "")
	switch {
	case a.domain.State(check) == oracle.Absent:
		return "consul services register", check, api.HealthPassing, a.registerByCLI(ctx, id, time.Hour)
	case kind == 0:
		return "consul services deregister", check, oracle.Absent, a.cli(ctx, "services", "deregister", "-id="+id)
	case kind == 1 && a.domain.State(service) != oracle.Absent:
		return "consul maint -disable -service", service, oracle.Absent, a.cli(ctx, "maint", "-disable", "-service="+id)
	case kind == 1:
		return "consul maint -enable -service", service, present, a.cli(ctx, "maint", "-enable", "-service="+id, "-reason=by the oracle")
	case kind == 2 && a.domain.State(node) != oracle.Absent:
		return "consul maint -disable", node, oracle.Absent, a.cli(ctx, "maint", "-disable")
	case kind == 2:
		return "consul maint -enable", node, present, a.cli(ctx, "maint", "-enable", "-reason=by the oracle")
	case kind == 3:
		// It is not renewed.
		a.expiring = check
		return "consul services register with a short TTL", check, api.HealthPassing, a.registerByCLI(ctx, id, shortTTL)
	default:
		return "TTL check updated", check, status, a.client.Agent().UpdateTTL(checkID, "by the oracle", status)
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
	oracle.Sleep(ctx, shortTTL) // What was to expire has.
	a.domain.Poll(ctx)
	oracle.Until(ctx, 20*time.Millisecond, func() bool { return a.domain.AllRested() })
	from := time.Now()
	_ = a.cli(ctx, "maint", "-disable")
	oracle.Sleep(ctx, time.Second)
	a.domain.Record(ctx, from)
}
