// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/config/confignet"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

// auditSocket takes what Vault's audit devices of type socket send, on many
// connections, as each node has one of its own. It always reads, as Vault waits
// for its devices.
type auditSocket struct {
	stream   *auditStream
	cfg      SocketConfig
	listener net.Listener
	room     *audit.Room

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
}

// listen opens the socket. The error names the setting.
func (s *auditStream) listen(ctx context.Context) (*auditSocket, error) {
	cfg := *s.cfg.Socket.Get()
	if cfg.Transport == confignet.TransportTypeUnix {
		removeStale(ctx, cfg.Endpoint)
	}
	listener, err := cfg.Listen(ctx)
	if err != nil {
		return nil, cannotListen("audit::socket::endpoint", cfg.Endpoint, err)
	}
	s.saysItListens(conditionSocket, listener)
	return &auditSocket{stream: s, cfg: cfg, listener: listener, room: s.room, open: map[net.Conn]struct{}{}}, nil
}

func cannotListen(setting, endpoint string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s %s cannot be listened on, is another collector there? %w", setting, endpoint, err)
	}
	return fmt.Errorf("%s %s cannot be listened on, check that this machine has the address, and that the collector's user may use it: %w", setting, endpoint, err)
}

func (s *auditStream) saysItListens(source string, listener net.Listener) {
	s.w.settings.Logger.Info("listening for Vault's audit devices", zap.String("setting", source), zap.Stringer("address", listener.Addr()))
}

// removeStale removes the socket of a process that was killed. Of anything else
// listening says what is wrong.
func removeStale(ctx context.Context, path string) {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close() // Somebody listens.
	case errors.Is(err, syscall.ECONNREFUSED):
		_ = os.Remove(path)
	}
}

// run accepts connections until ctx ends.
func (a *auditSocket) run(ctx context.Context) {
	var reading sync.WaitGroup
	defer reading.Wait()
	defer context.AfterFunc(ctx, a.close)()
	for {
		conn, err := a.listener.Accept()
		switch {
		case err == nil && a.admit(conn):
			a.stream.w.Condition.Set(conditionSocket, nil)
			reading.Go(func() { a.read(conn) })
		case err == nil && ctx.Err() != nil:
			_ = conn.Close()
		case err == nil:
			_ = conn.Close() // There are too many, which the next line says.
			a.stream.w.Condition.Set(conditionSocket, fmt.Errorf(
				"more than audit::socket::connections, which is %d, are open: raise it, or find out who connects", a.cfg.Connections))
		case errors.Is(err, net.ErrClosed):
			return
		default: // Such as too many open files.
			a.stream.w.Condition.Set(conditionSocket, fmt.Errorf("audit::socket accepts no connection now, and tries again: check the limit of open files of the collector: %w", err))
			pause(ctx, time.Second)
		}
	}
}

// conditionSocket is the name of the condition of the socket.
const conditionSocket = "audit::socket"

func (a *auditSocket) admit(conn net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || len(a.open) >= a.cfg.Connections {
		return false
	}
	a.open[conn] = struct{}{}
	a.stream.connections.Add(1)
	return true
}

// read takes lines until the connection ends.
func (a *auditSocket) read(conn net.Conn) {
	defer a.forget(conn)
	from := &heardReader{Reader: conn}
	lines := audit.NewLines(from, a.stream.cfg.LongestLine)
	lines.Room = a.room
	defer lines.Release()
	reader := audit.Reader{Data: a.stream.cfg.Data}
	var last time.Time // of an entry
	for {
		line, err := lines.Next()
		switch {
		case err == nil:
			became, at := a.stream.take(&reader, line)
			a.stream.sent.saw(became != malformed)
			if !at.IsZero() {
				last = at
			}
		case errors.Is(err, audit.ErrTooLong), errors.Is(err, audit.ErrNoRoom):
			a.stream.count(tooLong)
		case errors.Is(err, audit.ErrCut):
			a.stream.count(cut)
			return
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return // By the other side, or by Shutdown.
		default:
			if from.heard { // Vault dials to send. Whoever looks whether somebody listens sends nothing.
				a.stream.gaps.broke(last)
			}
			return
		}
	}
}

// heardReader knows whether anything came.
type heardReader struct {
	io.Reader

	heard bool
}

func (r *heardReader) Read(into []byte) (int, error) {
	n, err := r.Reader.Read(into)
	r.heard = r.heard || n > 0
	return n, err
}

func (a *auditSocket) forget(conn net.Conn) {
	_ = conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, conn)
	a.stream.connections.Add(-1)
	if !a.ended && len(a.open) < a.cfg.Connections {
		a.stream.w.Condition.Set(conditionSocket, nil)
	}
}

func (a *auditSocket) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	_ = a.listener.Close()
	for conn := range a.open {
		_ = conn.Close()
	}
}
