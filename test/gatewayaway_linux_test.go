// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// While no gateway is there, an agent accepts spans and keeps them, also when it is killed.
func TestAnAgentWaitsForItsGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	t.Parallel()
	certs, backend := guideCertificates(t, "IP:127.0.0.1"), startBlackHole(t)
	g := startGateways(t, 1, certs, nil, "JAEGER_OTLP_ENDPOINT="+backend.address, "DECISION_WAIT=1s")[0]
	a := startAgent(t, "agent", certs, nil, "GATEWAY_ENDPOINT="+g.at(g.grpc))
	require.NoError(t, g.Kill())
	sendTraces(t, a, 20)
	require.NoError(t, a.Kill())
	require.NoError(t, a.Restart(t.Context()))
	sendTraces(t, a, 20)
	require.NoError(t, g.Restart(t.Context()))
	require.Eventually(t, func() bool { return backend.spans() == 40*spansOfATrace }, soon, 100*time.Millisecond)
}

// When a gateway does not come back, and is taken out of the list of the others, they decide on what was to be its own.
func TestAGatewayIsTakenOutOfTheList(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	t.Parallel()
	certs, backend := guideCertificates(t, "IP:127.0.0.1,IP:127.0.0.2"), startBlackHole(t)
	gateways := startGateways(t, 2, certs, nil, "JAEGER_OTLP_ENDPOINT="+backend.address, "DECISION_WAIT=1s")
	lost, left := gateways[0], gateways[1]
	a := startAgent(t, "agent", certs, nil, "GATEWAY_ENDPOINT="+left.at(left.grpc))
	require.NoError(t, lost.Kill())
	sendTraces(t, a, 40)
	require.Eventually(t, func() bool { return backend.spans() > 0 }, soon, 100*time.Millisecond, "traces of the gateway that is left")
	time.Sleep(3 * time.Second)
	assert.Less(t, backend.spans(), 40*spansOfATrace, "those of the lost one wait")
	require.NoError(t, left.Stop(t.Context()), "SIGTERM must end it, though it waits for another")
	left.options.Env = append(left.options.Env, "GATEWAYS=["+left.at(left.balanced)+"]")
	again, err := lab.StartCollector(t.Context(), left.options)
	require.NoError(t, err)
	stopAtTheEnd(t, again)
	require.Eventually(t, func() bool { return backend.spans() == 40*spansOfATrace }, soon, 100*time.Millisecond)
}

// sendTraces has an agent accept so many.
func sendTraces(t *testing.T, a *agent, n int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	body, err := ptraceotlp.NewExportRequestFromTraces(someTraces(n)).MarshalProto()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, (&pusher{url: "http://" + a.otlp, client: client}).post(t.Context(), body))
}
