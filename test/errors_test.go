// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// stackLine is a line of a stack trace, such as "	/src/file.go:12".
var stackLine = regexp.MustCompile(`(?m)^\s+\S+\.go:\d+`)

// A server of gRPC that is no Jaeger refuses all spans for good. Each time that
// the exporter drops some, the log has an error, and no stack trace.
func TestEachErrorOfAnExporterIsLogged(t *testing.T) {
	const drops = 10
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	a := startAlone(t, "JAEGER_OTLP_ENDPOINT="+listener.Addr().String())
	p := newPusher("client-0", a.otlpHTTP)
	defer p.client.CloseIdleConnections()
	dropped := regexp.MustCompile(`(?m)\terror\t.*Exporting failed\. Dropping data\..*"dropped_items": 1\b`)
	for push := range drops {
		require.NoError(t, p.push(t.Context(), 1, 0))
		require.Eventually(t, func() bool { return len(dropped.FindAllString(a.collector.LogTail(1000), -1)) == push+1 },
			soon, 50*time.Millisecond, "error %d", push+1)
	}
	assert.NotRegexp(t, stackLine, a.collector.LogTail(1000))
}

// What is written on the console is what goes wrong, not what is exported.
func TestTheLogHasNoTelemetry(t *testing.T) {
	a := startAlone(t)
	pushEvent(t, a.otlpHTTP, a.events, "number 4711")
	assert.NotContains(t, a.collector.LogTail(1000), "order.placed")
	assert.NotContains(t, a.collector.LogTail(1000), "log records")
}
