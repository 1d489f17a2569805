// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// A workflow outlives its worker: another one replays it and goes on. By itself, Temporal's tracing then begins a second
// span RunWorkflow with another ID. The first one is lost with a worker that was killed, and the spans of the activities
// before lack their parent; a worker that ends in order exports it as if the workflow had ended. What follows gives the
// span an ID that is the same in each replay, and ends it only with the workflow.

// tracing returns the interceptor of Temporal's tracing and what goes beside it. Their spans need spanIDs.
func tracing() ([]interceptor.ClientInterceptor, []interceptor.WorkerInterceptor, error) {
	tracer, err := opentelemetry.NewTracer(opentelemetry.TracerOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("make temporal's tracing: %w", err)
	}
	return []interceptor.ClientInterceptor{interceptor.NewTracingInterceptor(replayedTracer{tracer})},
		[]interceptor.WorkerInterceptor{&ending{}}, nil
}

// replayedTracer hands the key of a span that is begun in each replay to spanIDs.
type replayedTracer struct{ interceptor.Tracer }

func (t replayedTracer) StartSpan(options *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	if options.Operation != "RunWorkflow" || options.IdempotencyKey == "" {
		return t.Tracer.StartSpan(options)
	}
	keyed, err := opentelemetry.NewTracer(opentelemetry.TracerOptions{SpanStarter: func(
		ctx context.Context, tracer trace.Tracer, name string, with ...trace.SpanStartOption,
	) trace.Span {
		_, span := tracer.Start(context.WithValue(ctx, spanKey{}, options.IdempotencyKey), name, with...)
		return &workflowSpan{Span: span}
	}})
	if err != nil {
		return nil, err
	}
	return keyed.StartSpan(options)
}

// workflowSpan is exported only if its workflow has ended.
type workflowSpan struct {
	trace.Span
	ended bool
}

func (s *workflowSpan) End(options ...trace.SpanEndOption) {
	if s.ended {
		s.Span.End(options...)
	}
}

type ending struct {
	interceptor.WorkerInterceptorBase
}

func (*ending) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	i := &endingWorkflow{}
	i.Next = next
	return i
}

type endingWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (i *endingWorkflow) ExecuteWorkflow(
	ctx workflow.Context, in *interceptor.ExecuteWorkflowInput,
) (any, error) {
	// It does not return when the worker drops the workflow.
	result, err := i.Next.ExecuteWorkflow(ctx, in)
	if span, ok := opentelemetry.SpanFromWorkflowContext(ctx); ok {
		if span, ok := span.(*workflowSpan); ok {
			span.ended = true
		}
	}
	return result, err
}

type spanKey struct{}

// spanIDs generates IDs: of spans with a key those that the key gives, else random ones.
type spanIDs struct{}

func (spanIDs) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	rand.Read(id[:]) // never fails
	return id, spanIDs{}.NewSpanID(ctx, id)
}

func (spanIDs) NewSpanID(ctx context.Context, _ trace.TraceID) (id trace.SpanID) {
	if key, ok := ctx.Value(spanKey{}).(string); ok {
		sum := sha256.Sum256([]byte(key))
		copy(id[:], sum[:])
		return id
	}
	rand.Read(id[:])
	return id
}
