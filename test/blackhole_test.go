// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
)

// blackHole is in place of Jaeger where only the number of spans counts, each once.
type blackHole struct {
	ptraceotlp.UnimplementedGRPCServer
	address string // host:port of its OTLP receiver over gRPC

	mu   sync.Mutex
	seen map[pcommon.SpanID]bool
}

// Export counts spans.
func (b *blackHole) Export(_ context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rs := range request.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				b.seen[span.SpanID()] = true
			}
		}
	}
	return ptraceotlp.NewExportResponse(), nil
}

// spans is how many have come.
func (b *blackHole) spans() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

func startBlackHole(t *testing.T) *blackHole {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &blackHole{address: listener.Addr().String(), seen: map[pcommon.SpanID]bool{}}
	server := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(server, b)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return b
}
