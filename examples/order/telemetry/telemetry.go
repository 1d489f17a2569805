// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry sets up the OpenTelemetry SDK for the programs of the example.
package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// defaults of OpenTelemetry's own variables. The collector's OTLP port is not the usual 4318, which Jaeger may hold,
// and the example exports often, so that one does not wait for it.
var defaults = map[string]string{
	"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:14318",
	"OTEL_BSP_SCHEDULE_DELAY":     "200",
	"OTEL_METRIC_EXPORT_INTERVAL": "1000",
}

// Start sets the global providers of traces and metrics, which export to OTEL_EXPORTER_OTLP_ENDPOINT over OTLP/HTTP,
// and the global propagators. The resource has service as service.name and INSTANCE as service.instance.id.
// shutdown exports what waits; give it a context with a deadline.
func Start(
	ctx context.Context, service string, options ...trace.TracerProviderOption,
) (shutdown func(context.Context) error, err error) {
	for name, value := range defaults {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil {
				return nil, fmt.Errorf("cannot set %s: %w", name, err)
			}
		}
	}
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
		resource.WithAttributes(
			semconv.ServiceName(service),
			semconv.ServiceInstanceID(cmp.Or(os.Getenv("INSTANCE"), service+"-1")),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot make the resource, check OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot make the exporter of traces: %w", err)
	}
	metrics, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot make the exporter of metrics: %w", err)
	}
	traces := trace.NewTracerProvider(append(options, trace.WithResource(res), trace.WithBatcher(spans))...)
	meters := metric.NewMeterProvider(metric.WithResource(res), metric.WithReader(metric.NewPeriodicReader(metrics)))

	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("telemetry was not exported", "error", err) }))
	otel.SetTracerProvider(traces)
	otel.SetMeterProvider(meters)
	// The last one that finds a parent wins. A proxy replaces traceparent, but passes Jaeger's header on as it came.
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		jaeger.Jaeger{}, propagation.TraceContext{}, propagation.Baggage{},
	))
	return func(ctx context.Context) error {
		return errors.Join(traces.Shutdown(ctx), meters.Shutdown(ctx))
	}, nil
}
