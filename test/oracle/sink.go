// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// Signal is one that the sink can refuse.
type Signal string

// The signals.
const (
	Logs    Signal = "logs"
	Traces  Signal = "traces"
	Metrics Signal = "metrics"
)

// Sink receives OTLP over HTTP, and keeps all that it accepts.
type Sink struct {
	URL string

	seed    uint64
	mu      sync.Mutex
	refused map[Signal]bool
	events  []Event
	spans   []Span
	batches []pmetric.ResourceMetrics // the newest of each resource
	scrapes int
}

// StartSink starts a sink that ends with the test.
func (r *Run) StartSink(t *testing.T) *Sink {
	t.Helper()
	s := &Sink{seed: r.Seed, refused: map[Signal]bool{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/logs", s.receive(Logs, s.takeLogs))
	routes.HandleFunc("POST /v1/traces", s.receive(Traces, s.takeTraces))
	routes.HandleFunc("POST /v1/metrics", s.receive(Metrics, s.takeMetrics))
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: routes, ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(func() { s.dump(t) })
	s.URL = server.URL
	return s
}

// Refuse has the sink refuse some signals, but not for good, and accept the others.
func (s *Sink) Refuse(signals ...Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.refused)
	for _, signal := range signals {
		s.refused[signal] = true
	}
}

func (s *Sink) receive(signal Signal, take func([]byte, time.Time) error) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refused[signal] {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if err := take(body, time.Now()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}
}

func (s *Sink) takeLogs(body []byte, arrived time.Time) error {
	request := plogotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return err
	}
	for _, rl := range request.Logs().ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				s.events = append(s.events, newEvent(rl.Resource(), record, arrived))
			}
		}
	}
	return nil
}

func (s *Sink) takeTraces(body []byte, arrived time.Time) error {
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return err
	}
	for _, rs := range request.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				s.spans = append(s.spans, newSpan(rs.Resource(), span, arrived))
			}
		}
	}
	return nil
}

func (s *Sink) takeMetrics(body []byte, _ time.Time) error {
	request := pmetricotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return err
	}
	s.scrapes++
	for _, rm := range request.Metrics().ResourceMetrics().All() {
		s.batches = slices.DeleteFunc(s.batches, func(old pmetric.ResourceMetrics) bool {
			return old.Resource().Attributes().Equal(rm.Resource().Attributes())
		})
		s.batches = append(s.batches, rm)
	}
	return nil
}
