// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

func TestTemporalRestartKeepsWorkflows(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Temporal; run without -short")
	}
	l, err := Start(t.Context(), Options{Servers: []string{"temporal"}, Progress: os.Stderr})
	require.NoError(t, err)
	stopAfter(t, l)
	require.Len(t, l.Servers(), 1)
	require.Contains(t, l.Env(), "TEMPORAL_ADDRESS="+l.Temporal.Addr)
	serves(t.Context(), t, l.Temporal.Addr)

	// No worker polls the queue, so the workflow stays open.
	const workflow = "/api/v1/namespaces/default/workflows/kept"
	require.NoError(t, post(t.Context(), l.Temporal.HTTP+workflow, `{"workflowType":{"name":"Kept"},"taskQueue":{"name":"nobody"}}`))
	run := func() (id, status string) {
		t.Helper()
		var answer struct {
			WorkflowExecutionInfo struct {
				Execution struct{ RunID string }
				Status    string
			}
		}
		require.NoError(t, getJSON(t.Context(), l.Temporal.HTTP+workflow, nil, &answer))
		return answer.WorkflowExecutionInfo.Execution.RunID, answer.WorkflowExecutionInfo.Status
	}
	before, status := run()
	require.NotEmpty(t, before)
	require.Equal(t, "WORKFLOW_EXECUTION_STATUS_RUNNING", status)

	require.NoError(t, l.Temporal.Restart(t.Context()))
	serves(t.Context(), t, l.Temporal.Addr)
	after, status := run()
	require.Equal(t, before, after)
	require.Equal(t, "WORKFLOW_EXECUTION_STATUS_RUNNING", status)

	require.NoError(t, l.Temporal.Kill())
	require.NoError(t, l.Temporal.Restart(t.Context()))
	after, _ = run()
	require.Equal(t, before, after, "SQLite survives a kill")

	code, metrics, err := get(t.Context(), "http://"+l.Temporal.Metrics+"/metrics", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, string(metrics), "# TYPE service_requests counter")
	require.NoError(t, answersOK(l.Temporal.UI+"/")(t.Context()))

	// The executable is also the command line that users have.
	path, err := Binary(t.Context(), "temporal", nil)
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), path, "operator", "cluster", "health", "--address="+l.Temporal.Addr).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "SERVING", strings.TrimSpace(string(out)))
}

// The server's own spans: which of its services handled what, within the trace of the client.
func TestTemporalSendsItsOwnTraces(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Temporal and Jaeger; run without -short")
	}
	jaeger, err := StartJaeger(t.Context(), ServerOptions{Progress: os.Stderr})
	require.NoError(t, err)
	defer func() { require.NoError(t, jaeger.Stop(context.Background())) }()
	temporal, err := StartTemporal(t.Context(), ServerOptions{Progress: os.Stderr, Env: []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://" + jaeger.OTLPGRPC, "OTEL_BSP_SCHEDULE_DELAY=200",
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, temporal.Stop(context.Background())) }()
	const workflow = "/api/v1/namespaces/default/workflows/traced"
	require.NoError(t, post(t.Context(), temporal.HTTP+workflow, `{"workflowType":{"name":"Traced"},"taskQueue":{"name":"nobody"}}`))
	var services struct{ Data []string }
	require.Eventually(t, func() bool {
		err := getJSON(t.Context(), jaeger.QueryURL+"/api/services", nil, &services)
		return err == nil && slices.Contains(services.Data, "io.temporal.frontend") && slices.Contains(services.Data, "io.temporal.history")
	}, time.Minute, 200*time.Millisecond)
	t.Log(services.Data)

	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	serves(metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+trace+"-"+parent+"-01"), t, temporal.Addr)
	require.Eventually(t, func() bool {
		spans, err := readback.Jaeger(jaeger.QueryURL).Trace(t.Context(), trace)
		return err == nil && len(spans) > 0 && spans[0].ParentSpanID == parent && spans[0].Service == "io.temporal.frontend"
	}, time.Minute, 200*time.Millisecond, "a call is in its caller's trace")
}

// serves checks that the frontend says so by gRPC's own health service.
func serves(ctx context.Context, t *testing.T, addr string) {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	health := grpc_health_v1.NewHealthClient(conn)
	answer, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "temporal.api.workflowservice.v1.WorkflowService"})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.Status)
}

func TestTemporalIsBuiltOnlyWhenItIsNamed(t *testing.T) {
	picked, err := recipesOf(nil)
	require.NoError(t, err)
	var names []string
	for _, r := range picked {
		names = append(names, r.name)
	}
	require.Equal(t, []string{"etcd", "prometheus", "jaeger", "vault", "consul"}, names)
	picked, err = recipesOf([]string{"temporal", "etcd"})
	require.NoError(t, err)
	require.Len(t, picked, 2)
}
