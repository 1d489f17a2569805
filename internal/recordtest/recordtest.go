// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package recordtest records the requests that reach a local server.
package recordtest

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
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

// Handler records each request with all that the client decides about it, then passes it on. Of a gRPC call it
// records each message apart, as a call can last, and leaves out how long the client waits.
func (r *Recorder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if strings.HasPrefix(request.Header.Get("Content-Type"), "application/grpc") {
			recorded := request.Clone(request.Context())
			recorded.Header.Del("Grpc-Timeout")
			r.Add(describe(recorded))
			request.Body = &messages{ReadCloser: request.Body, add: func(message []byte) {
				r.Add(fmt.Sprintf("message of %s: %q", request.URL.Path, message))
			}}
			next.ServeHTTP(w, request)
			return
		}
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

// messages adds each message of a gRPC call that is read.
type messages struct {
	io.ReadCloser
	add    func([]byte)
	buffer []byte
}

// Read implements io.Reader.
func (m *messages) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.buffer = append(m.buffer, p[:n]...)
	const head = 5 // a flag, and the length of the message
	for len(m.buffer) >= head {
		end := head + int(binary.BigEndian.Uint32(m.buffer[1:head]))
		if len(m.buffer) < end {
			break
		}
		m.add(m.buffer[:end])
		m.buffer = m.buffer[end:]
	}
	return n, err
}
