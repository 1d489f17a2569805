// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

const consulNode = "lab" // the node name of the one agent

// Consul is one Consul server: a datacenter of its own, with ports for HTTP,
// RPC and gossip only (no DNS, no gRPC, no UI). A restart keeps its state.
type Consul struct {
	*Server
	// Addr is host:port of the HTTP API.
	Addr string
	// Token is the management token; empty when ACLs are off.
	Token string
}

// StartConsul starts a server, and waits until it leads and has found itself healthy.
func StartConsul(ctx context.Context, opts ServerOptions) (*Consul, error) {
	c := &Consul{Token: opts.Token}
	server, err := startServer(ctx, "consul", 4, opts, func(home string, ports []int) (launch, error) {
		c.Addr = loopback(ports[0])
		file := filepath.Join(home, "consul.hcl")
		config := consulConfig(filepath.Join(home, "data"), ports, opts)
		return launch{args: []string{"agent", "-config-file=" + file}, ready: c.ready},
			os.WriteFile(file, []byte(config), 0o600)
	})
	if err != nil {
		return nil, err
	}
	c.Server = server
	return c, nil
}

func consulConfig(data string, ports []int, opts ServerOptions) string {
	config := fmt.Sprintf(`
node_name            = %q
server               = true
bootstrap_expect     = 1
data_dir             = %q
bind_addr            = "127.0.0.1"
client_addr          = "127.0.0.1"
log_level            = "warn"
disable_update_check = true
ui_config { enabled = false }
performance { raft_multiplier = 1 }
ports {
  http     = %d
  server   = %d
  serf_lan = %d
  serf_wan = %d
  https    = -1
  dns      = -1
  grpc     = -1
  grpc_tls = -1
}
`, consulNode, data, ports[0], ports[1], ports[2], ports[3])
	if opts.Token != "" {
		config += fmt.Sprintf(`
acl {
  enabled        = true
  default_policy = "deny"
  tokens {
    initial_management = %[1]q
    agent              = %[1]q
  }
}
`, opts.Token)
	}
	return config + opts.ExtraHCL
}

// ready is nil when there is a leader and it has registered the node as healthy.
func (c *Consul) ready(ctx context.Context) error {
	header := http.Header{"X-Consul-Token": {c.Token}}
	var leader string
	if err := getJSON(ctx, "http://"+c.Addr+"/v1/status/leader", header, &leader); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("consul has no leader")
	}
	var checks []struct{ CheckID, Status string }
	if err := getJSON(ctx, "http://"+c.Addr+"/v1/health/node/"+consulNode, header, &checks); err != nil {
		return err
	}
	for _, check := range checks {
		if check.CheckID == "serfHealth" && check.Status == "passing" {
			return nil
		}
	}
	return errors.New("consul's own node is not healthy in the catalog")
}
