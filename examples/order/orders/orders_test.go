// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// post sends an order in a trace. Its workflow, if it is started, ends with result.
func post(t *testing.T, body string, result error) (*httptest.ResponseRecorder, *prometheus.Registry, *mocks.Client) {
	t.Helper()
	run, engine, metrics := &mocks.WorkflowRun{}, &mocks.Client{}, prometheus.NewRegistry()
	run.On("Get", mock.Anything, nil).Return(result)
	engine.On("ExecuteWorkflow", mock.Anything, mock.Anything, order.Workflow, mock.Anything).Return(run, nil)
	id, err := trace.TraceIDFromHex(traceID)
	require.NoError(t, err)
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	answer := httptest.NewRecorder()
	newOrders(engine, metrics).create(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, "/orders", strings.NewReader(body)))
	return answer, metrics, engine
}

func TestTheAnswerSaysWhatCameOfTheWorkflow(t *testing.T) {
	for name, test := range map[string]struct {
		result         error
		code           int
		status, reason string
	}{
		"created":       {nil, http.StatusCreated, "created", ""},
		"card declined": {temporal.NewNonRetryableApplicationError("no", order.CardDeclined, nil), http.StatusPaymentRequired, "failed", "no"},
		"out of stock":  {temporal.NewNonRetryableApplicationError("no", order.OutOfStock, nil), http.StatusConflict, "failed", "no"},
		"unknown user":  {temporal.NewNonRetryableApplicationError("no", order.UnknownUser, nil), http.StatusNotFound, "failed", "no"},
		"denied":        {temporal.NewNonRetryableApplicationError("no", "Denied", nil), http.StatusServiceUnavailable, "failed", "no"},
		"other":         {errors.New("away"), http.StatusServiceUnavailable, "failed", "away"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, metrics, engine := post(t, `{"user":"ann","item":"pen","quantity":1,"card":"4111"}`, test.result)
			assert.Equal(t, test.code, answer.Code)
			var id string
			for _, call := range engine.Calls {
				id = call.Arguments.Get(3).(order.Request).ID
			}
			require.NotEmpty(t, id)
			want := `{"id":"` + id + `","status":"` + test.status + `","trace_id":"` + traceID + `"}`
			if test.reason != "" {
				want = strings.Replace(want, `"trace_id"`, `"reason":"`+test.reason+`","trace_id"`, 1)
			}
			assert.JSONEq(t, want, answer.Body.String())
			assert.Equal(t, map[string][]string{test.status: {traceID}}, exemplars(t, metrics))
		})
	}
}

func TestAClientThatHasWaitedLongGetsTheIDOfAnOrderThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, engine := &mocks.WorkflowRun{}, &mocks.Client{}
		run.On("Get", mock.Anything, nil).Return(func(ctx context.Context, _ any) error {
			<-ctx.Done()
			return ctx.Err()
		})
		engine.On("ExecuteWorkflow", mock.Anything, mock.Anything, order.Workflow, mock.Anything).Return(run, nil)
		answer := httptest.NewRecorder()
		body := strings.NewReader(`{"user":"ann","item":"pen","quantity":1,"card":"4111"}`)
		newOrders(engine, prometheus.NewRegistry()).create(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", body))
		assert.Equal(t, http.StatusAccepted, answer.Code)
		assert.Contains(t, answer.Body.String(), `"status":"running"`)
	})
}

func TestAnOrderThatMayHaveBeenTakenIsNotReportedAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &mocks.Client{}
		engine.On("ExecuteWorkflow", mock.Anything, mock.Anything, order.Workflow, mock.Anything).
			Run(func(arguments mock.Arguments) { <-arguments.Get(0).(context.Context).Done() }).
			Return(nil, context.DeadlineExceeded)
		answer := httptest.NewRecorder()
		body := strings.NewReader(`{"user":"ann","item":"pen","quantity":1,"card":"4111"}`)
		newOrders(engine, prometheus.NewRegistry()).create(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", body))
		assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
		assert.Contains(t, answer.Body.String(), `"status":"unknown"`)
	})
}

// exemplars are the traceIDs of the order's durations by status.
func exemplars(t *testing.T, metrics *prometheus.Registry) map[string][]string {
	t.Helper()
	families, err := metrics.Gather()
	require.NoError(t, err)
	found := map[string][]string{}
	for _, family := range families {
		assert.Equal(t, "orders_order_duration_seconds", family.GetName())
		for _, metric := range family.Metric {
			for _, bucket := range metric.Histogram.Bucket {
				if bucket.Exemplar != nil {
					found[label(metric.Label, "status")] = append(found[label(metric.Label, "status")], label(bucket.Exemplar.Label, "traceID"))
				}
			}
		}
	}
	return found
}

func label(pairs []*dto.LabelPair, name string) string {
	for _, pair := range pairs {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

func TestAnOrderThatCannotBeRightIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":     `user=ann`,
		"no user":      `{"item":"pen","quantity":1,"card":"4111"}`,
		"no quantity":  `{"user":"ann","item":"pen","card":"4111"}`,
		"too many":     `{"user":"ann","item":"pen","quantity":11,"card":"4111"}`,
		"not a number": `{"user":"ann","item":"pen","quantity":"one","card":"4111"}`,
	} {
		t.Run(name, func(t *testing.T) {
			answer, _, engine := post(t, body, nil)
			assert.Equal(t, http.StatusBadRequest, answer.Code)
			assert.Empty(t, engine.Calls)
		})
	}
}

func TestAnOrderThatNobodyMadeIsNotFound(t *testing.T) {
	engine := &mocks.Client{}
	engine.On("DescribeWorkflow", mock.Anything, "order-x", "").Return(nil, serviceerror.NewNotFound("no"))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/order-x", nil)
	request.SetPathValue("id", "order-x")
	answer := httptest.NewRecorder()
	newOrders(engine, prometheus.NewRegistry()).get(answer, request)
	assert.Equal(t, http.StatusNotFound, answer.Code)
}

func TestAnEarlierOrderHasTheStatusOfItsWorkflow(t *testing.T) {
	for status, want := range map[enums.WorkflowExecutionStatus]string{
		enums.WORKFLOW_EXECUTION_STATUS_RUNNING:   `{"id":"order-x","status":"running","trace_id":""}`,
		enums.WORKFLOW_EXECUTION_STATUS_COMPLETED: `{"id":"order-x","status":"created","trace_id":""}`,
		enums.WORKFLOW_EXECUTION_STATUS_FAILED:    `{"id":"order-x","status":"failed","reason":"no","trace_id":""}`,
	} {
		run, engine := &mocks.WorkflowRun{}, &mocks.Client{}
		run.On("Get", mock.Anything, nil).Return(temporal.NewNonRetryableApplicationError("no", order.OutOfStock, nil))
		engine.On("GetWorkflow", mock.Anything, "order-x", "").Return(run)
		description := &client.WorkflowExecutionDescription{}
		description.Status = status
		engine.On("DescribeWorkflow", mock.Anything, "order-x", "").Return(description, nil)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/order-x", nil)
		request.SetPathValue("id", "order-x")
		answer := httptest.NewRecorder()
		newOrders(engine, prometheus.NewRegistry()).get(answer, request)
		assert.JSONEq(t, want, answer.Body.String())
	}
}
