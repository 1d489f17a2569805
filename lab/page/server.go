// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server serves the page on a free port of the loopback address.
type Server struct {
	URL string // such as http://127.0.0.1:12001

	http   *http.Server
	served chan error
}

// Start starts to serve the page. The caller ends it with [Server.Close].
func Start(ctx context.Context, sources Sources) (*Server, error) {
	handler, err := New(sources)
	if err != nil {
		return nil, fmt.Errorf("serve the page: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve the page: %w", err)
	}
	s := &Server{
		URL:    "http://" + listener.Addr().String(),
		http:   &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second},
		served: make(chan error, 1),
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

// Close ends the server, and requests that it still answers.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("end the page: %w", err)
	}
	return nil
}
