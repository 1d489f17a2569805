// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package recordtest records the requests that reach a local server.
package recordtest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Recorder keeps each distinct request once. It is safe for concurrent use.
type Recorder struct {
	mu       sync.Mutex
	requests map[string]struct{}
}

// Add records a request as a text.
func (r *Recorder) Add(request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.requests == nil {
		r.requests = map[string]struct{}{}
	}
	r.requests[request] = struct{}{}
}

// Requests returns the recorded requests in the order of their texts.
func (r *Recorder) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.requests))
}

// Reset forgets the recorded requests.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.requests)
}

// Handler records each request with all that the client decides about it, then passes it on.
func (r *Recorder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		r.Add(describe(request) + string(body))
		next.ServeHTTP(w, request)
	})
}

func describe(request *http.Request) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %s\nHost: %s\n", request.Method, request.RequestURI, request.Proto, request.Host)
	for _, key := range slices.Sorted(maps.Keys(request.Header)) {
		fmt.Fprintf(&text, "%s: %q\n", key, request.Header[key])
	}
	if c := request.TLS; c != nil {
		fmt.Fprintf(&text, "TLS: %s server name %q protocol %q\n", tls.VersionName(c.Version), c.ServerName, c.NegotiatedProtocol)
		for _, certificate := range c.PeerCertificates {
			fmt.Fprintf(&text, "client certificate: %s\n", certificate.Subject)
		}
	}
	return text.String()
}
