// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const (
	measured      = 30 * time.Second
	settling      = 15 * time.Second // longer than tail sampling waits
	spansOfATrace = 10
	clockTicks    = 100 // a second, of /proc on Linux
)

// TestSizes measures memory and processor time for the guides' tables, and requires that
// the backend keeps up: set MEASURE=1 to have it run.
func TestSizes(t *testing.T) {
	if os.Getenv("MEASURE") == "" {
		t.Skip("measures for minutes, for the tables of the guides; run it with MEASURE=1")
	}
	certs := guideCertificates(t, "IP:127.0.0.1")
	backend := startBlackHole(t)
	limits := []string{"JAEGER_OTLP_ENDPOINT=" + backend.address}
	g := startGateways(t, 1, certs, nil, append(limits, "MEMORY_LIMIT_MIB=1024", "GOMEMLIMIT=819MiB")...)[0]
	a := startAgent(t, "agent", certs, nil, "GATEWAY_ENDPOINT="+g.at(g.grpc), "MEMORY_LIMIT_MIB=256", "GOMEMLIMIT=204MiB")
	sent := 0
	for _, rate := range []int{0, 1000, 5000} {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan int)
		go func() { ended <- sendSteadily(ctx, t, a.otlp, rate) }()
		time.Sleep(settling)
		before := []time.Duration{cpuOf(t, a.Collector), cpuOf(t, g.Collector)}
		time.Sleep(measured)
		for i, c := range []*lab.Collector{a.Collector, g.Collector} {
			used := cpuOf(t, c) - before[i]
			t.Logf("%d spans/s: %-9s RSS %d MiB, highest %d MiB, %.1f %% of a core", rate, c.Name(),
				memoryOf(t, c, "VmRSS")>>10, memoryOf(t, c, "VmHWM")>>10, 100*used.Seconds()/measured.Seconds())
		}
		stop()
		sent += <-ended
		stopped := time.Now()
		require.Eventually(t, func() bool { return backend.spans() == sent }, 5*time.Minute, 100*time.Millisecond, "of %d spans", sent)
		t.Logf("%d spans/s: the last ones came %s after they were sent", rate, time.Since(stopped).Round(100*time.Millisecond))
	}
}

// sendSteadily sends ten requests a second with so many spans in all, in traces of ten. It returns how many.
func sendSteadily(ctx context.Context, t *testing.T, otlp string, rate int) (sent int) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return sent
		case <-tick.C:
		}
		if rate == 0 {
			continue
		}
		body, err := ptraceotlp.NewExportRequestFromTraces(someTraces(rate / 10 / spansOfATrace)).MarshalProto()
		if err != nil {
			t.Error(err)
			return sent
		}
		response, err := client.Post("http://"+otlp+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return sent
		}
		sent += rate / 10
		if response.StatusCode != http.StatusOK {
			t.Errorf("the agent answered %s", response.Status)
		}
		_ = response.Body.Close()
	}
}

// someTraces are such as an HTTP service has, of about 500 bytes a span.
func someTraces(n int) ptrace.Traces {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "checkout")
	scope := rs.ScopeSpans().AppendEmpty()
	now := time.Now()
	for range n {
		id := randomTraceID()
		parent := pcommon.NewSpanIDEmpty()
		for range spansOfATrace {
			span := scope.Spans().AppendEmpty()
			span.SetTraceID(id)
			span.SetParentSpanID(parent)
			parent = randomSpanID()
			span.SetSpanID(parent)
			span.SetName("POST /orders/{id}")
			span.SetKind(ptrace.SpanKindServer)
			span.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-20 * time.Millisecond)))
			span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
			for i := range 8 {
				span.Attributes().PutStr(fmt.Sprintf("http.attribute.%d", i), strings.Repeat("x", 20))
			}
			span.Attributes().PutStr("url.path", "/orders/"+parent.String())
		}
	}
	return traces
}

// cpuOf is the processor time that it has used.
func cpuOf(t *testing.T, c *lab.Collector) time.Duration {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process().PID()))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(content), ") ")
	require.True(t, found)
	fields, ticks := strings.Fields(after), 0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// memoryOf is a line of its status, in KiB.
func memoryOf(t *testing.T, c *lab.Collector, line string) int {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process().PID()))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(content), line+":")
	require.True(t, found)
	n, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(t, err)
	return n
}
