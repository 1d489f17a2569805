// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say what a lab runs; the zero value is the servers of [ServerNames] in a
// throw-away folder.
type Options struct {
	// Dir is the folder for logs, configuration and data; it is made if
	// missing, must be empty, and stays. Empty: a throw-away folder that Stop removes.
	Dir string
	// KeepDir keeps the throw-away folder too.
	KeepDir bool
	// Servers are the names of those to run, also of [OnDemandServerNames]; empty:
	// those of [ServerNames].
	Servers []string
	// EtcdMembers is 1 (or 0) or 3.
	EtcdMembers int
	// ConsulToken turns Consul's ACLs on, see [ServerOptions].
	ConsulToken string
	// ConsulHCL and VaultHCL are appended to these servers' configuration.
	ConsulHCL, VaultHCL string
	// Progress is where builds and starts are reported; may be nil.
	Progress io.Writer
}

// Lab is a set of running servers. A server that was not asked for is nil.
type Lab struct {
	Consul     *Consul
	Etcd       *Etcd
	Vault      *Vault
	Jaeger     *Jaeger
	Prometheus *Prometheus
	Temporal   *Temporal
	// KubeAPIServer has an etcd of its own.
	KubeAPIServer *KubeAPIServer
	// Dir is the folder of all files: <name>.log, and <name>/ with
	// configuration and data.
	Dir string

	keepDir bool
	stop    sync.Once
	stopErr error
}

const labStopTimeout = stopGrace + killGrace

// Start builds what is missing, starts the servers at once, and waits until all
// are ready. If one fails, the others are ended and the folder with the logs is
// kept; the error says where it is, and holds the end of the log.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	picked, err := recipesOf(opts.Servers)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(picked))
	for i, r := range picked {
		if r.tool {
			return nil, fmt.Errorf("%s is no server; known are %s", r.name, strings.Join(slices.Concat(ServerNames(), OnDemandServerNames()), ", "))
		}
		names[i] = r.name
	}
	opts.Progress = &sharedWriter{to: orDiscard(opts.Progress)}
	if err := Build(ctx, opts.Progress, names...); err != nil {
		return nil, err
	}
	l := &Lab{keepDir: opts.KeepDir || opts.Dir != ""}
	if l.Dir, err = labDir(opts.Dir); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := l.start(ctx, opts, names); err != nil {
		l.keepDir = l.keepDir || ctx.Err() == nil // who interrupts it wants no logs
		return nil, errors.Join(fmt.Errorf("start the lab (logs are kept in %s): %w", l.Dir, err), l.Stop())
	}
	fmt.Fprintf(opts.Progress, "lab: started %s in %.1fs\n", strings.Join(names, ", "), time.Since(begin).Seconds())
	return l, nil
}

// labDir makes the lab's folder, or checks the given one.
func labDir(dir string) (string, error) {
	if dir == "" {
		return throwAway()
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("make the folder of the lab: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("look into the folder of the lab: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("the folder of the lab, %s, is not empty; remove it or name another", dir)
	}
	return dir, nil
}

func (l *Lab) start(ctx context.Context, opts Options, names []string) error {
	group, ctx := errgroup.WithContext(ctx)
	run := func(name string, start func(context.Context, ServerOptions) error, own ServerOptions) {
		own.Dir, own.Progress = l.Dir, opts.Progress
		if slices.Contains(names, name) {
			group.Go(func() error { return start(ctx, own) })
		}
	}
	run("consul", into(&l.Consul, StartConsul), ServerOptions{Token: opts.ConsulToken, ExtraHCL: opts.ConsulHCL})
	run("etcd", into(&l.Etcd, StartEtcd), ServerOptions{Members: opts.EtcdMembers})
	run("vault", into(&l.Vault, StartVault), ServerOptions{ExtraHCL: opts.VaultHCL})
	run("jaeger", into(&l.Jaeger, StartJaeger), ServerOptions{})
	run("prometheus", into(&l.Prometheus, StartPrometheus), ServerOptions{})
	run("temporal", into(&l.Temporal, StartTemporal), ServerOptions{})
	run("kube-apiserver", into(&l.KubeAPIServer, StartKubeAPIServer), ServerOptions{})
	return group.Wait()
}

// into starts a server and stores it in its field of the lab.
func into[S any](field **S, start func(context.Context, ServerOptions) (*S, error)) func(context.Context, ServerOptions) error {
	return func(ctx context.Context, opts ServerOptions) (err error) {
		*field, err = start(ctx, opts)
		return err
	}
}

// Servers gives all server processes, each member of a cluster on its own.
func (l *Lab) Servers() []*Server {
	var all []*Server
	if l.Consul != nil {
		all = append(all, l.Consul.Members...)
	}
	if l.Etcd != nil {
		all = append(all, l.Etcd.Members...)
	}
	if l.Vault != nil {
		all = append(all, l.Vault.Members...)
	}
	if l.Jaeger != nil {
		all = append(all, l.Jaeger.Server)
	}
	if l.Prometheus != nil {
		all = append(all, l.Prometheus.Server)
	}
	if l.Temporal != nil {
		all = append(all, l.Temporal.Server)
	}
	if l.KubeAPIServer != nil {
		all = append(all, l.KubeAPIServer.Server)
		all = append(all, l.KubeAPIServer.Etcd.Members...)
	}
	return all
}

// Env gives the addresses and secrets of the running servers as K=V, under the
// names that the servers' own tools know where there are such.
func (l *Lab) Env() []string {
	var env []string
	if l.Consul != nil {
		env = append(env, "CONSUL_HTTP_ADDR="+l.Consul.Addr)
		if l.Consul.Token != "" {
			env = append(env, "CONSUL_HTTP_TOKEN="+l.Consul.Token)
		}
	}
	if l.Etcd != nil {
		endpoints := strings.Join(l.Etcd.Endpoints, ",")
		env = append(env, "ETCD_ENDPOINTS="+endpoints, "ETCDCTL_ENDPOINTS="+endpoints)
	}
	if l.Vault != nil {
		env = append(env, "VAULT_ADDR="+l.Vault.Addr, "VAULT_TOKEN="+l.Vault.RootToken,
			"VAULT_UNSEAL_KEY="+l.Vault.UnsealKeys[0])
	}
	if l.Jaeger != nil {
		env = append(env, "JAEGER_QUERY_URL="+l.Jaeger.QueryURL, "JAEGER_OTLP_ENDPOINT="+l.Jaeger.OTLPGRPC)
	}
	if l.Prometheus != nil {
		env = append(env, "PROMETHEUS_URL="+l.Prometheus.URL)
	}
	if l.Temporal != nil {
		env = append(env, "TEMPORAL_ADDRESS="+l.Temporal.Addr, "TEMPORAL_UI_URL="+l.Temporal.UI, "TEMPORAL_METRICS_ADDRESS="+l.Temporal.Metrics)
	}
	if l.KubeAPIServer != nil {
		env = append(env, "KUBECONFIG="+l.KubeAPIServer.Kubeconfig)
	}
	return env
}

// Keep has Stop leave the folder, for somebody to read the logs in it.
func (l *Lab) Keep() { l.keepDir = true }

// Stop ends all servers at once, within 35 seconds, and removes a throw-away
// folder. Every call gives the error of the first.
func (l *Lab) Stop() error {
	l.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), labStopTimeout)
		defer cancel()
		l.stopErr = l.stopAll(ctx)
		if !l.keepDir {
			l.stopErr = errors.Join(l.stopErr, os.RemoveAll(l.Dir))
		}
	})
	return l.stopErr
}

func (l *Lab) stopAll(ctx context.Context) error {
	var stops []func(context.Context) error
	var members []*Server // are stopped by what they belong to
	if l.Consul != nil {
		stops, members = append(stops, l.Consul.Stop), append(members, l.Consul.Members...)
	}
	if l.Etcd != nil {
		stops, members = append(stops, l.Etcd.Stop), append(members, l.Etcd.Members...)
	}
	if l.Vault != nil {
		stops, members = append(stops, l.Vault.Stop), append(members, l.Vault.Members...)
	}
	if l.KubeAPIServer != nil {
		stops = append(stops, l.KubeAPIServer.Stop)
		members = append(append(members, l.KubeAPIServer.Server), l.KubeAPIServer.Etcd.Members...)
	}
	for _, server := range l.Servers() {
		if !slices.Contains(members, server) {
			stops = append(stops, server.Stop)
		}
	}
	errs := make([]error, len(stops))
	var group errgroup.Group
	for i, stop := range stops {
		group.Go(func() error {
			errs[i] = stop(ctx)
			return nil
		})
	}
	_ = group.Wait() // errs has them all, not just the first
	return errors.Join(errs...)
}

// Logs gives the last n lines of each server's log, for a failing test to show.
func (l *Lab) Logs(n int) string {
	var out strings.Builder
	for _, server := range l.Servers() {
		fmt.Fprintf(&out, "--- %s (%s)\n%s\n", server.Name(), server.Process().LogPath(), server.LogTail(n))
	}
	return out.String()
}

// sharedWriter lets servers that start at once write whole lines.
type sharedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *sharedWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}
