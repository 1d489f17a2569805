// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// pusher is an application that sends its spans over OTLP/HTTP until they are accepted.
type pusher struct {
	service string // 8 bytes
	url     string
	client  *http.Client
	number  int            // of spans
	pushed  map[string]int // how often, by span ID
}

// newPusher makes one whose name has 8 bytes; otlp is host:port.
func newPusher(service, otlp string) *pusher {
	return &pusher{service: service, url: "http://" + otlp, client: &http.Client{Transport: &http.Transport{}}, pushed: map[string]int{}}
}

// push sends one trace of some spans, of which each has an attribute of that size.
func (p *pusher) push(ctx context.Context, spans, size int) error {
	body, ids, err := p.trace(spans, size)
	if err != nil {
		return err
	}
	for {
		for _, id := range ids {
			p.pushed[id]++
		}
		if p.post(ctx, body) == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// trace makes one that is encoded.
func (p *pusher) trace(spans, size int) (body []byte, ids []string, err error) {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", p.service)
	scope := rs.ScopeSpans().AppendEmpty()
	traceID := pcommon.TraceID([]byte(fmt.Sprintf("%s%08d", p.service, p.number)))
	for range spans {
		span := scope.Spans().AppendEmpty()
		p.number++
		spanID := pcommon.SpanID([]byte(fmt.Sprintf("%08d", p.number)))
		span.SetTraceID(traceID)
		span.SetSpanID(spanID)
		span.SetName("work")
		now := time.Now()
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Millisecond)))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
		span.Attributes().PutStr("text", strings.Repeat("x", size))
		ids = append(ids, spanID.String())
	}
	body, err = ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	return body, ids, err
}

// post returns the status of the answer, 0 without one.
func (p *pusher) post(ctx context.Context, body []byte) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := p.client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// pushEvent sends one event over OTLP, and waits until it is in the file.
func pushEvent(t *testing.T, otlp, file, text string) {
	t.Helper()
	response, err := http.Post("http://"+otlp+"/v1/logs", "application/json", strings.NewReader(
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"order.placed","body":{"stringValue":"`+text+`"}}]}]}]}`))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Eventually(t, func() bool { return strings.Contains(readFile("", file), text) }, soon, 50*time.Millisecond)
}
