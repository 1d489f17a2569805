// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// prepare writes the configuration of each member.
func (v *Vault) prepare(places []place, opts ServerOptions) ([]launch, error) {
	scheme, listener := "http://", "tls_disable = true\n"
	if opts.TLS != nil {
		var err error
		scheme = "https://"
		if listener, err = v.secure(places[0].home, opts.TLS.Mutual); err != nil {
			return nil, err
		}
	}
	v.Addrs = make([]string, len(places))
	launches := make([]launch, len(places))
	for i, p := range places {
		v.Addrs[i] = scheme + loopback(p.ports[0])
		data := filepath.Join(p.home, "data")
		if err := os.Mkdir(data, 0o700); err != nil {
			return nil, err
		}
		config := vaultConfig(fmt.Sprintf("lab-%d", i+1), data, v.Addrs[i], p.ports, listener+opts.ListenerHCL, opts.Steady)
		files, err := vaultFiles(p.home, config, opts.ExtraHCL)
		if err != nil {
			return nil, err
		}
		launches[i] = launch{args: append([]string{"server"}, files...), ready: v.answers(i)}
	}
	v.Addr = v.Addrs[0]
	return launches, nil
}

// answers is nil when the API of member i answers, be it sealed or not.
func (v *Vault) answers(i int) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := v.health(ctx, i)
		return err
	}
}

// vaultFiles writes two files: Vault takes a block such as telemetry from the
// last file that has it, but does not take one twice in one file.
func vaultFiles(home, own, extra string) ([]string, error) {
	files := [2]string{filepath.Join(home, "vault.hcl"), filepath.Join(home, "extra.hcl")}
	err := errors.Join(os.WriteFile(files[0], []byte(own), 0o600), os.WriteFile(files[1], []byte(extra), 0o600))
	return []string{"-config=" + files[0], "-config=" + files[1]}, err
}

// vaultConfig is the configuration of one node. mlock is off as it would need a
// privilege; hostnames are off so that metric names do not differ by machine.
// Autopilot looks often, as it is what makes voters of those who join.
func vaultConfig(node, data, addr string, ports []int, listener string, steady bool) string {
	patience := 2
	if steady {
		patience = 10
	}
	return fmt.Sprintf(`
storage "raft" {
  node_id                      = %q
  path                         = %q
  performance_multiplier       = %[7]d
  autopilot_update_interval    = "100ms"
  autopilot_reconcile_interval = "200ms"
}
listener "tcp" {
  address         = %[3]q
  cluster_address = %[4]q
  %[6]s
}
telemetry {
  prometheus_retention_time = "24h"
  disable_hostname          = true
  usage_gauge_period        = "10s"
}
api_addr      = %[5]q
cluster_addr  = "https://%[4]s"
disable_mlock = true
ui            = false
log_level     = "warn"
`, node, data, loopback(ports[0]), loopback(ports[1]), addr, listener, patience)
}

// secure makes the certificates, and gives what the listener needs of them.
// Among themselves the members use certificates that Vault makes.
func (v *Vault) secure(home string, mutual bool) (string, error) {
	server, client, err := writeTLS(home)
	if err != nil {
		return "", err
	}
	if v.http, err = client.probe(); err != nil {
		return "", err
	}
	v.TLS = client
	return fmt.Sprintf(`
  tls_cert_file                      = %q
  tls_key_file                       = %q
  tls_client_ca_file                 = %q
  tls_require_and_verify_client_cert = %t
`, server.Cert, server.Key, server.CA, mutual), nil
}
