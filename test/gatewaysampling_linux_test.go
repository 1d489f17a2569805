// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
)

// Scopes of the receivers, by which the gateway knows what they send.
const (
	etcdScope  = "github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver"
	vaultScope = "github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver"
)

// Two gateways that keep a quarter of the traces keep each that failed or was slow, whole
// though each of its spans came to another one, and all that receivers observed. Requests
// to Vault share the fate of their traces. Exemplars lead to what was kept.
func TestGatewaysSample(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Jaeger and Prometheus and the built collector; run make test")
	}
	t.Parallel()
	certs := guideCertificates(t, "IP:127.0.0.1,IP:127.0.0.2")
	jaeger, err := lab.StartJaeger(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, jaeger.Stop(context.Background())) })
	prometheus, err := lab.StartPrometheus(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prometheus.Stop(context.Background())) })
	gateways := startGateways(t, 2, certs, nil, "JAEGER_OTLP_ENDPOINT="+jaeger.OTLPGRPC, "DECISION_WAIT=1s", "SAMPLING_PERCENTAGE=25")
	require.NoError(t, prometheus.Scrape(gateways[0].metrics, gateways[0].applications, gateways[1].metrics, gateways[1].applications))
	var agents []*agent
	for i, g := range gateways { // so that it is known which spans come to which gateway
		agents = append(agents, startAgent(t, fmt.Sprintf("agent-%d", 1+i), certs, []string{"agent-scrape"}, "GATEWAY_ENDPOINT="+g.at(g.grpc), "COLLECTION_INTERVAL=1s"))
	}
	a := agents[0]
	begin := time.Now()
	store, err := shop.Open(t.Context(), "http://"+a.otlp)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	writeFile(t, a.targets, store.Targets())
	customers, leave := context.WithTimeout(t.Context(), 15*time.Second)
	defer leave()
	served := make(chan error)
	go func() {
		_, err := store.Serve(customers, 2)
		served <- err
	}()

	const each = 80
	kinds := map[string][]pcommon.TraceID{}
	parts := []ptrace.Traces{ptrace.NewTraces(), ptrace.NewTraces()}
	for _, kind := range []string{"usual", "failed", "slow"} {
		for range each {
			id := randomTraceID()
			kinds[kind] = append(kinds[kind], id)
			appendTrace(parts, id, kind)
		}
	}
	for range each {
		id := randomTraceID()
		kinds["lock"] = append(kinds["lock"], id)
		span := newSpan(parts[0], "etcd", etcdScope, id)
		span.SetKind(ptrace.SpanKindInternal)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i, part := range parts {
		body, err := ptraceotlp.NewExportRequestFromTraces(part).MarshalProto()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, (&pusher{url: "http://" + agents[i].otlp, client: client}).post(t.Context(), body))
	}
	require.NoError(t, <-served)
	time.Sleep(3 * time.Second) // Behind the decisions on the last visits.

	read := readback.Jaeger(jaeger.QueryURL)
	kept, torn := map[string]int{}, 0
	for kind, ids := range kinds {
		for _, id := range ids {
			spans, err := read.Trace(t.Context(), id.String())
			require.NoError(t, err)
			if len(spans) == 0 {
				continue
			}
			kept[kind]++
			want := 3
			if kind == "lock" {
				want = 1
			}
			if len(spans) != want {
				torn++
			}
		}
	}
	assert.Zero(t, torn, "a trace that is kept is whole, with the request to Vault")
	t.Logf("of %d each, kept: %v", each, kept)
	assert.Equal(t, each, kept["failed"])
	assert.Equal(t, each, kept["slow"])
	assert.Equal(t, each, kept["lock"])
	assert.InDelta(t, each/4, kept["usual"], each/5, "a quarter, by the trace IDs")

	exemplars, err := readback.Prometheus(prometheus.URL).Exemplars(t.Context(), shop.Durations+"_bucket", begin)
	require.NoError(t, err)
	require.NotEmpty(t, exemplars)
	for _, e := range exemplars {
		spans, err := read.Trace(t.Context(), e.TraceID)
		require.NoError(t, err)
		assert.NotEmpty(t, spans, "an exemplar leads to a trace that was not kept")
	}
	t.Logf("%d exemplars", len(exemplars))
}

// appendTrace appends a span of an application to the first part, and to the second one
// below it, and the request to Vault below that.
func appendTrace(parts []ptrace.Traces, id pcommon.TraceID, kind string) {
	root := newSpan(parts[0], "checkout", "app", id)
	child := newSpan(parts[1], "checkout", "app", id)
	child.SetParentSpanID(root.SpanID())
	request := newSpan(parts[1], "vault", vaultScope, id)
	request.SetParentSpanID(child.SpanID())
	request.SetKind(ptrace.SpanKindServer)
	switch kind {
	case "failed":
		child.Status().SetCode(ptrace.StatusCodeError)
	case "slow":
		root.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-2 * time.Second)))
	}
}

func newSpan(traces ptrace.Traces, service, scope string, trace pcommon.TraceID) ptrace.Span {
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	spans := rs.ScopeSpans().AppendEmpty()
	spans.Scope().SetName(scope)
	span := spans.Spans().AppendEmpty()
	fill(span, trace)
	return span
}
