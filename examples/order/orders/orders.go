// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
)

// defaultMaxQuantity holds until Consul has another.
const defaultMaxQuantity = 10

// traceMemo is the name of the memo of a workflow with the trace in which its order was made.
const traceMemo = "trace_id"

// patience is how long a client waits for the result of its order. Proxies give up after a minute, and their answer
// would not have the order's ID.
const patience = 50 * time.Second

// errUnknown is the error of a start that Temporal did not answer in time.
var errUnknown = errors.New("it is not known whether the order was taken, ask for it by its ID")

// answer is what came of an order.
type answer struct {
	ID      string `json:"id"`
	Status  string `json:"status"` // created, failed, running, or unknown
	Reason  string `json:"reason,omitempty"`
	TraceID string `json:"trace_id"`
}

type orders struct {
	temporal    client.Client
	maxQuantity atomic.Int64
	duration    *prometheus.HistogramVec
}

func newOrders(engine client.Client, metrics prometheus.Registerer) *orders {
	o := &orders{temporal: engine, duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "orders_order_duration_seconds", Help: "Time from an order's request to its result.",
		Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
	}, []string{"status"})}
	metrics.MustRegister(o.duration)
	for _, status := range []string{"created", "failed", "running", "unknown"} { // Else the first of them is no increase.
		o.duration.WithLabelValues(status)
	}
	o.maxQuantity.Store(defaultMaxQuantity)
	return o
}

// create starts the workflow of an order and waits for its result. The order
// goes on when the client leaves, or has waited too long.
func (o *orders) create(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var request order.Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&request); err != nil {
		http.Error(w, "the order is not JSON with user, item, quantity and card", http.StatusBadRequest)
		return
	}
	if err := check(request, o.maxQuantity.Load()); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request.ID = newID()
	span := trace.SpanContextFromContext(r.Context())
	code, result := http.StatusCreated, answer{ID: request.ID, Status: "created", TraceID: span.TraceID().String()}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	err := o.process(ctx, request, result.TraceID)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		return
	case ctx.Err() != nil:
		code, result.Status = http.StatusAccepted, "running"
	case errors.Is(err, errUnknown):
		code, result.Status, result.Reason = http.StatusServiceUnavailable, "unknown", errUnknown.Error()
		slog.Warn("order was not started in time", "order", request.ID, "error", err, "trace_id", result.TraceID)
	default:
		result.Status = "failed"
		code, result.Reason = explain(err)
		slog.Warn("order failed", "order", request.ID, "status", code, "error", err, "trace_id", result.TraceID)
	}

	duration, seconds := o.duration.WithLabelValues(result.Status), time.Since(began).Seconds()
	if span.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(seconds, prometheus.Labels{"traceID": result.TraceID})
	} else {
		duration.Observe(seconds)
	}
	respond(w, code, result)
}

// process returns when the workflow has ended; the error is the workflow's.
func (o *orders) process(ctx context.Context, request order.Request, traceID string) error {
	starting, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	run, err := o.temporal.ExecuteWorkflow(starting, client.StartWorkflowOptions{
		ID: request.ID, TaskQueue: order.TaskQueue, Memo: map[string]any{traceMemo: traceID},
	}, order.Workflow, request)
	if err != nil && starting.Err() != nil {
		err = fmt.Errorf("%w: %w", errUnknown, err)
	}
	if err != nil {
		return fmt.Errorf("start the workflow of order %s: %w", request.ID, err)
	}
	// Without the deadline, which is sent to the server: in the second before it, the server has no time left to wait,
	// and would be asked again a hundred times.
	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return run.Get(waiting, nil)
}

// get answers what came of an earlier order.
func (o *orders) get(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	description, err := o.temporal.DescribeWorkflow(r.Context(), id, "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		http.Error(w, "there is no order "+id, http.StatusNotFound)
		return
	case err != nil:
		slog.Warn("order was not read", "order", id, "error", err)
		http.Error(w, "temporal gave no answer, try again later", http.StatusServiceUnavailable)
		return
	}
	result := answer{ID: id, Status: "running"}
	if payload := description.Memo.GetFields()[traceMemo]; payload != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &result.TraceID); err != nil {
			slog.Warn("memo of an order was not decoded", "order", id, "error", err)
		}
	}
	switch description.Status {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		result.Status = "created"
	default:
		result.Status = "failed"
		if err := o.temporal.GetWorkflow(r.Context(), id, "").Get(r.Context(), nil); err != nil {
			_, result.Reason = explain(err)
		}
	}
	respond(w, http.StatusOK, result)
}

// check is an error if an order cannot be right.
func check(r order.Request, maxQuantity int64) error {
	switch {
	case r.User == "" || r.Item == "" || r.Card == "":
		return errors.New("an order needs user, item, quantity and card")
	case r.Quantity < 1:
		return errors.New("the quantity must be at least 1")
	case int64(r.Quantity) > maxQuantity:
		return fmt.Errorf("the quantity must be at most %d", maxQuantity)
	}
	return nil
}

// explain is the status and the reason of an order that failed.
func explain(err error) (code int, reason string) {
	var failure *temporal.ApplicationError
	if !errors.As(err, &failure) {
		return http.StatusServiceUnavailable, err.Error()
	}
	codes := map[string]int{
		order.CardDeclined: http.StatusPaymentRequired,
		order.OutOfStock:   http.StatusConflict,
		order.UnknownUser:  http.StatusNotFound,
	}
	code, refused := codes[failure.Type()]
	if !refused {
		code = http.StatusServiceUnavailable
	}
	return code, failure.Message()
}

func newID() string {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return "order-" + hex.EncodeToString(random[:])
}

func respond(w http.ResponseWriter, code int, body answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.Debug("client left before its answer", "error", err)
	}
}
