// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package readback reads what has arrived in Jaeger, in Prometheus and in a
// file of events, through their own interfaces and never from the collector.
package readback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Jaeger is the URL of a Jaeger query service.
type Jaeger string

// maxTraces is how many traces one search returns at most.
const maxTraces = 1000

// Span is a span as Jaeger has it.
type Span struct {
	TraceID, SpanID, ParentSpanID string
	Service, Instance, Name       string
	Kind                          string // such as Server
	Start                         time.Time
	Duration                      time.Duration
	Failed                        bool // its status is Error
	Attributes                    map[string]any
	Links                         []Link
}

// Link leads from a span to another one.
type Link struct {
	TraceID, SpanID string
	Attributes      map[string]any
}

// Spans returns the spans of a service in traces that began since a time. No
// traces are no error.
func (j Jaeger) Spans(ctx context.Context, service string, since time.Time) ([]Span, error) {
	return j.get(ctx, "/api/v3/traces?"+search(service, since, maxTraces).Encode())
}

// Traces returns the spans of the newest traces, up to a number of them, that have a span of a service with a name.
func (j Jaeger) Traces(ctx context.Context, service, name string, since time.Time, most int) ([]Span, error) {
	query := search(service, since, most)
	query.Set("query.operation_name", name)
	return j.get(ctx, "/api/v3/traces?"+query.Encode())
}

func search(service string, since time.Time, most int) url.Values {
	return url.Values{
		"query.service_name":   {service},
		"query.start_time_min": {since.UTC().Format(time.RFC3339Nano)},
		"query.start_time_max": {time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)},
		"query.num_traces":     {strconv.Itoa(most)},
	}
}

// Services returns the names of the services that Jaeger has spans of.
func (j Jaeger) Services(ctx context.Context) ([]string, error) {
	var answer struct{ Services []string }
	err := j.read(ctx, "/api/v3/services", func(body io.Reader) error { return json.NewDecoder(body).Decode(&answer) })
	return answer.Services, err
}

// Operations returns the names of a service's spans.
func (j Jaeger) Operations(ctx context.Context, service string) ([]string, error) {
	var answer struct{ Operations []struct{ Name string } }
	err := j.read(ctx, "/api/v3/operations?"+url.Values{"service": {service}}.Encode(), func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&answer)
	})
	var names []string
	for _, o := range answer.Operations {
		names = append(names, o.Name)
	}
	return names, err
}

// Trace returns the spans of one trace; none if Jaeger does not have it.
func (j Jaeger) Trace(ctx context.Context, traceID string) ([]Span, error) {
	return j.get(ctx, "/api/v3/traces/"+traceID)
}

// TraceURL returns where a trace can be looked at.
func (j Jaeger) TraceURL(traceID string) string { return string(j) + "/api/v3/traces/" + traceID }

func (j Jaeger) get(ctx context.Context, path string) (spans []Span, err error) {
	err = j.read(ctx, path, func(body io.Reader) error {
		spans, err = decode(body)
		return err
	})
	return spans, err
}

func (j Jaeger) read(ctx context.Context, path string, decode func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, string(j)+path, nil)
	if err != nil {
		return fmt.Errorf("ask jaeger: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask jaeger: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		if err := decode(response.Body); err != nil {
			return fmt.Errorf("ask jaeger for %s: %w", path, err)
		}
		return nil
	case http.StatusNotFound: // Jaeger's word for "no traces"
		return nil
	default:
		body, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return fmt.Errorf("ask jaeger for %s: %s: %s", path, response.Status, body)
	}
}

func decode(body io.Reader) ([]Span, error) {
	var spans []Span
	for decoder := json.NewDecoder(body); ; {
		var answer struct{ Result json.RawMessage }
		err := decoder.Decode(&answer)
		if errors.Is(err, io.EOF) {
			return spans, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode jaeger's answer: %w", err)
		}
		traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(answer.Result)
		if err != nil {
			return nil, fmt.Errorf("decode jaeger's traces: %w", err)
		}
		spans = append(spans, flatten(traces)...)
	}
}

func flatten(traces ptrace.Traces) (spans []Span) {
	for _, rs := range traces.ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		instance, _ := rs.Resource().Attributes().Get("service.instance.id") // also a process tag of a Jaeger client
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				spans = append(spans, Span{
					TraceID:      s.TraceID().String(),
					SpanID:       s.SpanID().String(),
					ParentSpanID: s.ParentSpanID().String(),
					Service:      service.Str(),
					Instance:     instance.Str(),
					Name:         s.Name(),
					Kind:         s.Kind().String(),
					Start:        s.StartTimestamp().AsTime(),
					Duration:     s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime()),
					Failed:       s.Status().Code() == ptrace.StatusCodeError,
					Attributes:   s.Attributes().AsRaw(),
					Links:        linksOf(s),
				})
			}
		}
	}
	return spans
}

func linksOf(s ptrace.Span) (links []Link) {
	for _, l := range s.Links().All() {
		links = append(links, Link{TraceID: l.TraceID().String(), SpanID: l.SpanID().String(), Attributes: l.Attributes().AsRaw()})
	}
	return links
}
