// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

const (
	// conditionHTTP is the name of the condition of the HTTP server.
	conditionHTTP = "audit::http"

	// streams is how many requests a connection of HTTP/2 has at a time. Who has
	// more of them opens another connection, which connections bounds.
	streams = 20

	// finishFor is how long requests may take that Shutdown finds. It is a part of
	// flushFor.
	finishFor = time.Second
)

// auditHTTP takes what OpenBao's audit devices of type http post: an entry in
// each request. OpenBao waits for the answer and sends nothing twice, and an
// answer that is not 2xx counts as a device that has failed. So what the pipeline
// does not take is no failure: it is dropped and counted.
type auditHTTP struct {
	stream   *auditStream
	server   *http.Server
	listener net.Listener
	slots    chan struct{} // one for each connection
	bodies   sync.Pool

	closing func() // once
	closed  chan struct{}

	// over is locked for reading by each request, and for good when the source has
	// ended: what was not taken by then is not answered with 2xx.
	over sync.RWMutex
}

// auditBody is what reads a body.
type auditBody struct {
	lines  *audit.Lines
	reader audit.Reader
}

func newAuditHTTP(s *auditStream, connections int) *auditHTTP {
	a := &auditHTTP{stream: s, slots: make(chan struct{}, connections), closed: make(chan struct{})}
	a.closing = sync.OnceFunc(func() { close(a.closed) })
	a.bodies.New = func() any {
		lines := audit.NewLines(http.NoBody, s.cfg.LongestLine)
		lines.Room = s.room
		return &auditBody{lines: lines, reader: audit.Reader{Data: s.cfg.Data}}
	}
	return a
}

// serve opens the HTTP server. The error names the setting.
func (s *auditStream) serve(ctx context.Context, host component.Host) (*auditHTTP, error) {
	cfg := *s.cfg.HTTP.Get()
	a := newAuditHTTP(s, cfg.Connections)
	if cfg.MaxRequestBodySize == 0 {
		cfg.MaxRequestBodySize = int64(s.cfg.LongestLine) + 1 // with its end
	}
	if auth := cfg.Auth.Get(); auth != nil {
		if _, runs := host.GetExtensions()[auth.AuthenticatorID]; !runs {
			return nil, fmt.Errorf("audit::http::auth::authenticator is %s, which does not run: add it under extensions: and to service::extensions", auth.AuthenticatorID)
		}
	}
	var err error
	a.server, err = cfg.ToServer(ctx, host.GetExtensions(), s.w.settings.TelemetrySettings, a,
		confighttp.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, _ string, status int) {
			if status == http.StatusBadRequest { // It cannot be decompressed.
				s.count(malformed)
			} else { // Who is not let in holds no connection.
				w.Header().Set("Connection", "close")
			}
			refuse(w, status)
		}))
	if err != nil {
		return nil, fmt.Errorf("audit::http cannot be set up, check its tls, auth and middlewares: %w", err)
	}
	a.server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	a.server.ConnState = a.connection
	if a.listener, err = cfg.ToListener(ctx); err != nil {
		return nil, cannotListen("audit::http::endpoint", cfg.NetAddr.Endpoint, err)
	}
	s.saysItListens(conditionHTTP, a.listener)
	return a, nil
}

// run serves until ctx ends. What it has answered with 2xx by then was taken in.
func (a *auditHTTP) run(ctx context.Context) {
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := a.server.Serve(a); !errors.Is(err, http.ErrServerClosed) {
			a.stream.w.Condition.Set(conditionHTTP, fmt.Errorf("audit::http has ended, restart the collector: %w", err))
		}
	}()
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishFor)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	<-served
	a.over.Lock()
}

// Accept implements net.Listener. While all connections are in use it waits, and
// those who connect wait with it, as OpenBao would take a closed connection for
// a device that has failed. The timeouts end connections that do nothing.
func (a *auditHTTP) Accept() (net.Conn, error) {
	select {
	case a.slots <- struct{}{}:
	default:
		a.stream.w.Condition.Set(conditionHTTP, fmt.Errorf(
			"all audit::http::connections, which is %d, are open, and more have to wait: raise it, or find out who connects", cap(a.slots)))
		select {
		case a.slots <- struct{}{}:
			a.stream.w.Condition.Set(conditionHTTP, nil)
		case <-a.closed:
			return nil, net.ErrClosed
		}
	}
	conn, err := a.listener.Accept()
	if err != nil {
		<-a.slots
	}
	return conn, err
}

// Close implements net.Listener.
func (a *auditHTTP) Close() error {
	a.closing()
	return a.listener.Close()
}

// Addr implements net.Listener.
func (a *auditHTTP) Addr() net.Addr { return a.listener.Addr() }

// connection is told of each that is new, and of its end.
func (a *auditHTTP) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		a.stream.connections.Add(1)
	case http.StateClosed:
		a.stream.connections.Add(-1)
		<-a.slots
	}
}

// ServeHTTP takes in what is posted, to whichever path.
func (a *auditHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.over.TryRLock() {
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	defer a.over.RUnlock()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if status := a.receive(r.Body); status != http.StatusNoContent {
		refuse(w, status)
		return
	}
	w.WriteHeader(http.StatusNoContent) // OpenBao reads no body, and would close the connection if there were one.
}

// receive takes in the lines of a body, and returns the answer: that one is too
// long, or that none is an entry. OpenBao tries a device when it is enabled, and
// so says there that, for instance, it has a prefix.
func (a *auditHTTP) receive(from io.Reader) (status int) {
	body := a.bodies.Get().(*auditBody)
	defer a.bodies.Put(body)
	body.lines.Reset(io.MultiReader(from, strings.NewReader("\n"))) // The last line needs no end.
	defer body.lines.Reset(http.NoBody)
	entries, long := false, false
	for {
		line, err := body.lines.Next()
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil && len(bytes.TrimSpace(line)) == 0:
		case err == nil:
			became, _ := a.stream.take(&body.reader, line)
			a.stream.posted.saw(became != malformed)
			entries = became != malformed || entries
		case errors.Is(err, audit.ErrNoRoom): // There will be.
			a.stream.count(tooLong)
			entries = true
		case errors.Is(err, audit.ErrTooLong):
			a.stream.count(tooLong)
			long = true
		case errors.As(err, &tooLarge):
			a.stream.count(tooLong)
			return http.StatusRequestEntityTooLarge
		case !errors.Is(err, io.EOF): // Who sends has ended, or is too slow, or it cannot be decompressed.
			a.stream.count(cut)
			return http.StatusBadRequest
		case long:
			return http.StatusRequestEntityTooLarge
		case !entries:
			return http.StatusBadRequest
		default:
			return http.StatusNoContent
		}
	}
}

// refuse answers that it was for nothing, and no more.
func refuse(w http.ResponseWriter, status int) {
	http.Error(w, http.StatusText(status), status)
}
