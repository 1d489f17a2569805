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
)

// ServerOptions configure one server; the zero value is good.
type ServerOptions struct {
	// Dir is an existing folder for the log, <name>.log, and for configuration
	// and data, <name>/, which must not exist yet. Empty: a throw-away folder
	// that Stop removes.
	Dir string
	// Progress is told when the server has to be built; may be nil.
	Progress io.Writer
	// ExtraArgs are appended to the command line, so they win.
	ExtraArgs []string
	// ExtraHCL is appended to the configuration of Consul and Vault.
	ExtraHCL string
	// Token, of Consul: turns ACLs on, denies by default, and is the
	// management token. A UUID. Empty: no ACLs.
	Token string
	// Members, of etcd: 1 (or 0) or 3.
	Members int
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

// launch is what a server's own code says about one run: how it is started on
// the ports it was given, and when it is ready.
type launch struct {
	args  []string
	ready func(context.Context) error
}

// startServer finds the binary, and starts it on n free ports. prepare writes
// configuration into home, which is new and empty.
func startServer(ctx context.Context, name string, n int, opts ServerOptions, prepare func(home string, ports []int) (launch, error)) (*Server, error) {
	bin, err := Binary(ctx, name, opts.Progress)
	if err != nil {
		return nil, err
	}
	s, err := newServer(name, bin, opts.Dir)
	if err != nil {
		return nil, err
	}
	err = onFreePorts(ctx, n, func(ports []int) error {
		home, err := newHome(s.dir, name)
		if err != nil {
			return err
		}
		l, err := prepare(home, ports)
		if err != nil {
			return fmt.Errorf("configure %s: %w", name, err)
		}
		s.args, s.ready = slices.Concat(l.args, opts.ExtraArgs), l.ready
		return s.startAfresh(ctx, home)
	})
	if err != nil {
		return nil, err // a folder of its own stays, for its log
	}
	return s, nil
}

// newServer makes a server that is not started; it has its own folder if dir is empty.
func newServer(name, bin, dir string) (*Server, error) {
	s := &Server{name: name, bin: bin, env: plainEnv()}
	var err error
	if dir == "" {
		s.dir, err = throwAway()
		s.ownDir = s.dir
	} else {
		s.dir, err = filepath.Abs(dir)
	}
	return s, err
}

func throwAway() (string, error) {
	dir, err := os.MkdirTemp("", "otelcol-infra-lab-")
	if err != nil {
		return "", fmt.Errorf("make a throw-away folder: %w", err)
	}
	return dir, nil
}

// newHome makes the folder of a server's configuration and data.
func newHome(dir, name string) (string, error) {
	home := filepath.Join(dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of %s; name another folder: %w", name, err)
	}
	return home, nil
}

// startAfresh starts for the first time; it leaves neither process nor home on failure.
func (s *Server) startAfresh(ctx context.Context, home string) error {
	err := s.start(ctx)
	if err != nil {
		err = errors.Join(err, s.Kill(), os.RemoveAll(home))
	}
	return err
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
