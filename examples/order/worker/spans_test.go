// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
)

// runTraced runs the workflow once, always with the same run ID, and returns its spans by name.
func runTraced(t *testing.T) map[string]tracetest.SpanStub {
	t.Helper()
	exported := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(exported), trace.WithIDGenerator(spanIDs{})))
	ofClient, ofWorker, err := tracing()
	require.NoError(t, err)

	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{
		Interceptors: append([]interceptor.WorkerInterceptor{ofClient[0].(interceptor.WorkerInterceptor)}, ofWorker...),
	})
	a := &activities{}
	env.RegisterActivity(a)
	for _, do := range []any{a.ValidateUser, a.ReserveInventory, a.CreateOrder, a.ChargeCard} {
		env.OnActivity(do, mock.Anything, request).Return(nil)
	}
	env.ExecuteWorkflow(Order, request)
	require.NoError(t, env.GetWorkflowError())
	spans := map[string]tracetest.SpanStub{}
	for _, span := range exported.GetSpans() {
		spans[span.Name] = span
	}
	return spans
}

func TestTheSpanOfAWorkflowHasTheSameIDInEachReplay(t *testing.T) {
	first, replayed := runTraced(t), runTraced(t)
	require.Contains(t, first, "RunWorkflow:Order")
	id := first["RunWorkflow:Order"].SpanContext.SpanID()
	assert.Equal(t, id, replayed["RunWorkflow:Order"].SpanContext.SpanID())
	for _, spans := range []map[string]tracetest.SpanStub{first, replayed} {
		assert.Equal(t, id, spans["StartActivity:ChargeCard"].Parent.SpanID())
	}
	assert.NotEqual(t, first["StartActivity:ChargeCard"].SpanContext.SpanID(),
		replayed["StartActivity:ChargeCard"].SpanContext.SpanID())
}
