// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const consulNode = "lab" // the node name of a single server without another; of three with a number

// prepare writes the configuration of each server.
func (c *Consul) prepare(places []place, opts ServerOptions) ([]launch, error) {
	c.Addrs, c.rpc = nil, nil
	for _, p := range places {
		c.Addrs, c.rpc = append(c.Addrs, loopback(p.ports[0])), append(c.rpc, loopback(p.ports[1]))
	}
	c.Addr, c.WAN = c.Addrs[0], loopback(places[0].ports[3])
	var listener string
	if opts.TLS != nil {
		var err error
		if listener, err = c.secure(places[0].home, opts.TLS.Mutual); err != nil {
			return nil, err
		}
	}
	launches := make([]launch, len(places))
	for i, p := range places {
		files, err := consulFiles(p.home, consulConfig(p, opts)+listener, opts.ExtraHCL)
		if err != nil {
			return nil, err
		}
		node := cmp.Or(opts.Node, consulNode)
		if len(places) > 1 {
			node = fmt.Sprintf("%s-%d", consulNode, i+1)
		}
		launches[i] = launch{
			args:  slices.Concat([]string{"agent", "-node=" + node}, files, consulJoins(i, places, opts)),
			ready: func(ctx context.Context) error { return c.ready(ctx, c.Addrs[i], node) },
		}
	}
	return launches, nil
}

// consulFiles writes two files: Consul merges a block that is in both, such as
// telemetry, but does not take one twice in one file.
func consulFiles(home, own, extra string) ([]string, error) {
	files := [2]string{filepath.Join(home, "consul.hcl"), filepath.Join(home, "extra.hcl")}
	err := errors.Join(os.WriteFile(files[0], []byte(own), 0o600), os.WriteFile(files[1], []byte(extra), 0o600))
	return []string{"-config-file=" + files[0], "-config-file=" + files[1]}, err
}

// consulJoins says of whom the server is a peer. It must not join itself: that
// would succeed, and it would not look for the others any more.
func consulJoins(i int, places []place, opts ServerOptions) []string {
	args := []string{fmt.Sprintf("-bootstrap-expect=%d", len(places)), "-retry-interval=1s", "-retry-interval-wan=1s"}
	for j, p := range places {
		if i != j {
			args = append(args, "-retry-join="+loopback(p.ports[2]))
		}
	}
	for _, addr := range opts.JoinWAN {
		args = append(args, "-retry-join-wan="+addr)
	}
	if opts.Datacenter != "" {
		args = append(args, "-datacenter="+opts.Datacenter)
	}
	return args
}

func consulConfig(p place, opts ServerOptions) string {
	http, https := p.ports[0], -1
	if opts.TLS != nil {
		http, https = https, http
	}
	grpc := -1
	if opts.Peering {
		grpc = p.ports[4]
	}
	config := fmt.Sprintf(`
server               = true
data_dir             = %q
bind_addr            = "127.0.0.1"
client_addr          = "127.0.0.1"
log_level            = "warn"
disable_update_check = true
ui_config { enabled = false }
performance { raft_multiplier = 1 }
autopilot { cleanup_dead_servers = false } # a killed member stays one until it is restarted
ports {
  http     = %d
  https    = %d
  server   = %d
  serf_lan = %d
  serf_wan = %d
  dns      = -1
  grpc     = -1
  grpc_tls = %d
}
`, filepath.Join(p.home, "data"), http, https, p.ports[1], p.ports[2], p.ports[3], grpc)
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
	return config
}

// secure makes the certificates, and gives the configuration with them. That is
// for the API alone: the servers speak plainly with each other.
func (c *Consul) secure(home string, mutual bool) (string, error) {
	server, client, err := writeTLS(home)
	if err != nil {
		return "", err
	}
	if c.client, err = client.probe(); err != nil {
		return "", err
	}
	c.TLS, c.scheme = client, "https"
	return fmt.Sprintf(`
tls {
  https {
    ca_file         = %q
    cert_file       = %q
    key_file        = %q
    verify_incoming = %t
  }
}
`, server.CA, server.Cert, server.Key, mutual), nil
}
