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
)

// ServerOptions configure one server; the zero value is good.
type ServerOptions struct {
	// Dir is an existing folder for the log, <name>.log, and for configuration
	// and data, <name>/, which must not exist yet. Empty: a throw-away folder
	// that Stop removes.
	Dir string
	// Progress is where a build is reported; may be nil.
	Progress io.Writer
	// ExtraArgs are appended to the command line, so they win.
	ExtraArgs []string
	// Env is K=V beside what a server needs of our environment, and wins.
	Env []string
	// ExtraHCL is appended to the configuration of Consul and Vault, where it wins.
	ExtraHCL string
	// ListenerHCL, of Vault, goes into the block of the listener, such as
	// "telemetry { unauthenticated_metrics_access = true }".
	ListenerHCL string
	// Token, of Consul: turns ACLs on, denies by default, and is the
	// management token. A UUID. Empty: no ACLs.
	Token string
	// Members, of etcd, Consul and Vault: 1 (or 0) or 3.
	Members int
	// TLS, of etcd, Consul and Vault: clients are served over TLS only. Nil: plain HTTP only.
	TLS *TLS
	// Partitionable, of etcd with three members: [Etcd.Partition] can cut members
	// off. They then reach each other through a proxy in this process, and their
	// peer URLs have their names as hosts, which only that proxy knows.
	Partitionable bool
	// ScrapeInterval, of Prometheus, is how often it scrapes; 0: once a second.
	ScrapeInterval time.Duration
	// Datacenter, of Consul; empty: dc1.
	Datacenter string
	// JoinWAN, of Consul, are addresses of servers of other datacenters, see
	// [Consul]'s WAN, to federate with.
	JoinWAN []string
	// Node, of Consul with one server, is the name of its node; empty: lab.
	Node string
	// Peering, of Consul: its servers can be peered with another Consul's, see
	// [Consul.Peer].
	Peering bool
	// Uninitialised, of Vault: it is started only; [Vault.Initialise] does the rest.
	Uninitialised bool
	// Sealed, of Vault: it is initialised, and sealed then.
	Sealed bool
	// Steady, of Vault with three members: who leads goes on leading, also when it or
	// the others do not get to run for some seconds. To replace one that is killed
	// takes up to 20 seconds; one that steps down is replaced as fast as ever.
	Steady bool

	binary string // of a server that is never built
}

// Server is one server process that can be restarted where it was. Its methods
// may be called at any time from any goroutine.
type Server struct {
	name   string
	bin    string
	dir    string // of the log file
	ownDir string // to be removed on Stop, if not empty
	env    []string
	args   []string
	ready  func(context.Context) error

	mu   sync.Mutex
	proc *Process
}

// startServer starts the one process of a server, see startCluster.
func startServer(ctx context.Context, name string, n int, opts ServerOptions, prepare func(home string, ports []int) (launch, error)) (*Server, error) {
	opts.Members = 1
	c, err := startCluster(ctx, name, n, opts, func(places []place) ([]launch, error) {
		l, err := prepare(places[0].home, places[0].ports)
		return []launch{l}, err
	})
	if err != nil {
		return nil, err
	}
	s := c.Members[0]
	s.ownDir = c.ownDir
	return s, nil
}

// newServer makes a server that is not started; it has its own folder if dir is empty.
func newServer(name, bin, dir string) (*Server, error) {
	s := &Server{name: name, bin: bin, env: plainEnv()}
	var err error
	s.dir, s.ownDir, err = serverDir(dir)
	return s, err
}

// serverDir makes a throw-away folder if dir is empty; own is that one.
func serverDir(dir string) (abs, own string, err error) {
	if dir != "" {
		abs, err = filepath.Abs(dir)
		return abs, "", err
	}
	own, err = throwAway()
	return own, own, err
}

func throwAway() (string, error) {
	dir, err := os.MkdirTemp("", "otelcol-infra-lab-")
	if err != nil {
		return "", fmt.Errorf("make a throw-away folder: %w", err)
	}
	return dir, nil
}

func (s *Server) start(ctx context.Context) error {
	proc, err := StartProcess(Command{Name: s.name, Path: s.bin, Args: s.args, Env: s.env, Dir: s.dir})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.proc = proc
	s.mu.Unlock()
	return waitReady(ctx, proc, s.ready)
}

// Name is the server's name, such as "vault" or "etcd-2".
func (s *Server) Name() string { return s.name }

// Process is the current run; the last one if the server is stopped.
func (s *Server) Process() *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Restart stops the server if it runs, starts it on the same ports and data,
// and waits until it is ready. It also revives a killed server. An error of
// not becoming ready holds the end of the log.
func (s *Server) Restart(ctx context.Context) error {
	if proc := s.Process(); proc != nil {
		if err := proc.Stop(ctx); err != nil {
			return fmt.Errorf("restart %s: %w", s.name, err)
		}
	}
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return nil
}

// Stop ends the server in order, see [Process.Stop], and removes its folder if
// that is a throw-away one. Stopping twice does nothing.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	if proc := s.Process(); proc != nil {
		err = proc.Stop(ctx)
	}
	if s.ownDir != "" {
		err = errors.Join(err, os.RemoveAll(s.ownDir))
	}
	return err
}

// Kill ends the server at once (SIGKILL); Restart revives it.
func (s *Server) Kill() error {
	if proc := s.Process(); proc != nil {
		return proc.Kill()
	}
	return nil
}

// LogTail gives the last n lines of the current run's log.
func (s *Server) LogTail(n int) string {
	if proc := s.Process(); proc != nil {
		return proc.LogTail(n)
	}
	return ""
}

// plainEnv is our environment without what would configure the servers
// (VAULT_*, ETCD_*, CONSUL_*, OTEL_*, proxies): they listen to their options only.
func plainEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		switch key {
		case "PATH", "HOME", "USER", "TMPDIR", "TZ", "LANG", "GOMAXPROCS", "GOMEMLIMIT", "SystemRoot", "TEMP":
			return false
		}
		return true
	})
}
