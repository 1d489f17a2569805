// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// ErrNoEnvoy says that this machine has no Envoy to run. It is not built here, as it
// is written in C++.
var ErrNoEnvoy = errors.New("there is no Envoy")

// envoy is not in [recipes]: a lab neither builds nor starts it. 1.37.0 is the first
// version that knows all fields of examples/order/envoy.yaml. It prints
// "envoy  version: <commit>/1.37.0/Clean/RELEASE/BoringSSL".
var envoyRecipe = recipe{
	name: "envoy", env: "LAB_ENVOY",
	oldest: "1.37.0", printsVersion: "--version", beforeVersion: "version: ", versionField: 1,
}

// FindEnvoy gives the path of an Envoy: the one that LAB_ENVOY names, or the one on
// PATH if it is new enough. The error is [ErrNoEnvoy] when there is none, and says
// what to do about it.
func FindEnvoy(ctx context.Context) (string, error) {
	const remedy = "put one on PATH, or set LAB_ENVOY to its path"
	if value := os.Getenv(envoyRecipe.env); value != "" {
		found, err := named(ctx, envoyRecipe, value)
		return found.path, err
	}
	path, err := exec.LookPath(envoyRecipe.name)
	if err != nil {
		return "", fmt.Errorf("%w of version %s or newer; %s", ErrNoEnvoy, envoyRecipe.oldest, remedy)
	}
	if in := envoyRecipe.inspect(ctx, path); !in.usable() {
		return "", fmt.Errorf("%w of version %s or newer, as the one on PATH, %s, is %s; %s",
			ErrNoEnvoy, envoyRecipe.oldest, path, in, remedy)
	}
	return path, nil
}

// EnvoyOptions configure an Envoy.
type EnvoyOptions struct {
	ServerOptions
	// Config is its bootstrap, YAML. Its admin and its one listener get free ports.
	Config string
	// Clusters are where the clusters of Config are found instead, by name: host:port.
	Clusters map[string]string
}

// Envoy is one Envoy with a configuration from a file.
type Envoy struct {
	*Server
	// Addr is host:port of its listener.
	Addr string
	// Admin is host:port of its admin interface, which has /stats/prometheus.
	Admin string
}

// StartEnvoy starts the Envoy of [FindEnvoy], and waits until it is ready.
func StartEnvoy(ctx context.Context, opts EnvoyOptions) (*Envoy, error) {
	var err error
	if opts.binary, err = FindEnvoy(ctx); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(opts.Config)
	if err != nil {
		return nil, fmt.Errorf("read envoy's configuration: %w", err)
	}
	e := &Envoy{}
	e.Server, err = startServer(ctx, "envoy", 2, opts.ServerOptions, func(home string, ports []int) (launch, error) {
		e.Addr, e.Admin = loopback(ports[0]), loopback(ports[1])
		config, err := envoyConfig(content, e.Addr, e.Admin, opts.Clusters)
		if err != nil {
			return launch{}, fmt.Errorf("%s: %w", opts.Config, err)
		}
		file := filepath.Join(home, "envoy.json")
		// Without hot restart it needs no shared memory that is its own.
		args := []string{"-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"}
		return launch{args: args, ready: answersOK("http://" + e.Admin + "/ready")}, os.WriteFile(file, config, 0o600)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// envoyConfig gives the bootstrap with other addresses, as JSON: Envoy expands no
// variables.
func envoyConfig(content []byte, listener, admin string, clusters map[string]string) ([]byte, error) {
	var config map[string]any
	if err := yaml.Unmarshal(content, &config); err != nil {
		return nil, err
	}
	if err := setAddress(config["admin"], admin); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	static, _ := config["static_resources"].(map[string]any)
	listeners, _ := static["listeners"].([]any)
	if len(listeners) != 1 {
		return nil, fmt.Errorf("%d listeners; one is needed", len(listeners))
	}
	if err := setAddress(listeners[0], listener); err != nil {
		return nil, fmt.Errorf("listener: %w", err)
	}
	all, _ := static["clusters"].([]any)
	for name, address := range clusters {
		if err := moveCluster(all, name, address); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", name, err)
		}
	}
	return json.MarshalIndent(config, "", "  ")
}

// moveCluster gives the one endpoint of the named cluster another address.
func moveCluster(clusters []any, name, address string) error {
	for _, c := range clusters {
		cluster, _ := c.(map[string]any)
		if cluster["name"] != name {
			continue
		}
		assignment, _ := cluster["load_assignment"].(map[string]any)
		localities, _ := assignment["endpoints"].([]any)
		if len(localities) != 1 {
			return fmt.Errorf("%d localities; one is needed", len(localities))
		}
		locality, _ := localities[0].(map[string]any)
		endpoints, _ := locality["lb_endpoints"].([]any)
		if len(endpoints) != 1 {
			return fmt.Errorf("%d endpoints; one is needed", len(endpoints))
		}
		endpoint, _ := endpoints[0].(map[string]any)
		return setAddress(endpoint["endpoint"], address)
	}
	return errors.New("there is none of that name")
}

// setAddress changes the socket address of a part of the configuration.
func setAddress(part any, address string) error {
	holder, _ := part.(map[string]any)
	of, _ := holder["address"].(map[string]any)
	socket, ok := of["socket_address"].(map[string]any)
	if !ok {
		return errors.New("it has no socket_address")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	socket["address"], socket["port_value"] = host, number
	return nil
}
