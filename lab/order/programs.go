// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// setUp writes what the programs need into Consul, etcd and Vault, with the example's
// own program for that.
func (e *Environment) setUp(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(e.binaries, "setup"))
	cmd.Env = append(os.Environ(), append(e.Lab.Env(), "SETUP_DIR="+e.secrets)...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set up the example: %w\n%s", err, output)
	}
	return nil
}

// program is one process of the example.
type program struct {
	name   string // its log, and INSTANCE
	binary string
	addr   string
	env    []string
	// job is its service.name, if it serves metrics.
	job string
}

func (e *Environment) startPrograms(ctx context.Context, opts Options, agent, jaegerHTTP string) error {
	return lab.OnFreePorts(ctx, 7, func(ports []int) error {
		err := e.startProgramsOn(ctx, opts, ports, agent, jaegerHTTP)
		if err != nil { // Those that started would run twice when other ports are tried.
			err = errors.Join(err, e.stopPrograms(context.WithoutCancel(ctx)))
		}
		return err
	})
}

func (e *Environment) startProgramsOn(ctx context.Context, opts Options, ports []int, agent, jaegerHTTP string) error {
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	host, port, _ := strings.Cut(agent, ":")
	programs := []program{
		{name: "users-1", binary: "users", addr: at(0), job: "users", env: []string{"JAEGER_AGENT_HOST=" + host, "JAEGER_AGENT_PORT=" + port}},
		{name: "users-2", binary: "users", addr: at(1), job: "users", env: []string{"JAEGER_ENDPOINT=http://" + jaegerHTTP + "/api/traces"}},
		{name: "stock-1", binary: "stock", addr: at(2)},
		{name: "stock-2", binary: "stock", addr: at(3)},
		{name: "worker-1", binary: "worker", addr: at(4), job: "worker"},
		{name: "orders-1", binary: "orders", addr: at(5), job: "orders"},
	}
	targets := []string{fmt.Sprintf("- {targets: [%q], labels: {job: temporal}}", e.Lab.Temporal.Metrics)}
	for _, p := range programs {
		if err := e.startProgram(ctx, p); err != nil {
			return err
		}
		if p.job != "" {
			targets = append(targets, fmt.Sprintf("- {targets: [%q], labels: {job: %s, instance: %s}}", p.addr, p.job, p.name))
		}
	}
	if err := os.WriteFile(e.Targets, []byte(strings.Join(targets, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the collector's targets: %w", err)
	}
	return e.startEdge(ctx, opts, at(6), at(5))
}

// stopPrograms ends the programs, each before those that it sends requests to.
func (e *Environment) stopPrograms(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var err error
	for _, name := range []string{"edge", "orders-1", "worker-1", "stock-1", "stock-2", "users-1", "users-2"} {
		if program := e.programs[name]; program != nil {
			err = errors.Join(err, program.Stop(ctx))
			delete(e.programs, name)
		}
	}
	return err
}

// startEdge starts Envoy if there is one, and else the program that stands in for it.
func (e *Environment) startEdge(ctx context.Context, opts Options, addr, orders string) error {
	envoy, err := lab.StartEnvoy(ctx, lab.EnvoyOptions{
		ServerOptions: lab.ServerOptions{Dir: e.Lab.Dir, Progress: opts.Progress},
		Config:        filepath.Join(opts.Example, "envoy.yaml"),
		Clusters:      map[string]string{"orders": orders, "collector": e.OTLPGRPC},
	})
	if err == nil {
		e.Edge, e.URL, e.programs["edge"] = "Envoy", "http://"+envoy.Addr, envoy.Server
		return nil
	}
	if !errors.Is(err, lab.ErrNoEnvoy) {
		return err
	}
	e.Edge, e.URL = fmt.Sprintf("a stand-in for Envoy (%v)", err), "http://"+addr
	return e.startProgram(ctx, program{name: "edge", binary: "edge", addr: addr, env: []string{"EDGE_ADDR=" + addr, "ORDERS_ADDR=" + orders}})
}

func (e *Environment) startProgram(ctx context.Context, p program) (err error) {
	env := append(e.plainEnv(), append(e.Lab.Env(),
		"ADDR="+p.addr,
		"INSTANCE="+p.name,
		"VAULT_ROLE_ID_FILE="+filepath.Join(e.secrets, "role_id"),
		"VAULT_SECRET_ID_FILE="+filepath.Join(e.secrets, "secret_id"),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+e.OTLP,
	)...)
	env = slices.DeleteFunc(env, func(kv string) bool {
		return strings.HasPrefix(kv, "VAULT_TOKEN=") || strings.HasPrefix(kv, "VAULT_UNSEAL_KEY=")
	})
	e.programs[p.name], err = lab.StartProgram(ctx, lab.ProgramOptions{
		Name: p.name, Binary: filepath.Join(e.binaries, p.binary), Dir: e.Lab.Dir,
		Env: append(env, p.env...), ReadyURL: "http://" + p.addr + "/healthz",
	})
	return err
}

// plainEnv is what of our environment the programs get.
func (e *Environment) plainEnv() []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}
