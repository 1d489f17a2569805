// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
)

// The names of the signals, also in the storage.
const (
	signalLogs   = "logs"
	signalTraces = "traces"
)

// signal is the logs or the traces of one receiver.
type signal[T any] struct {
	name    string
	wanted  func() bool
	of      func(Telemetry) T
	count   func(T) int // records
	consume func(ctx context.Context, data T, records int) error
	part    func(error) (T, bool) // that a partial error names
	join    func([]T) T

	condition *condition.Reporter

	mu       sync.Mutex
	lanes    map[*lane[T]]struct{}
	refused  int           // lanes whose oldest batch was refused
	accepted chan struct{} // closed when the consumer accepts what it had refused
}

func newLogsSignal(d *Delivery, report *receiverhelper.ObsReport, format string) *signal[plog.Logs] {
	return &signal[plog.Logs]{
		name:   signalLogs,
		wanted: func() bool { return d.Logs != nil },
		of:     func(t Telemetry) plog.Logs { return t.Logs },
		count:  plog.Logs.LogRecordCount,
		consume: func(ctx context.Context, logs plog.Logs, records int) error {
			if d.Logs.Capabilities().MutatesData { // Also what it refuses.
				logs = copyOf(logs, plog.NewLogs())
			}
			ctx = report.StartLogsOp(ctx)
			err := d.Logs.ConsumeLogs(ctx, logs)
			report.EndLogsOp(ctx, format, records, err)
			return err
		},
		part: partOf[consumererror.Logs, plog.Logs],
		join: func(all []plog.Logs) plog.Logs {
			joined := plog.NewLogs()
			for _, logs := range all { // A consumer may have got them already, so they stay as they are.
				for _, resource := range logs.ResourceLogs().All() {
					resource.CopyTo(joined.ResourceLogs().AppendEmpty())
				}
			}
			return joined
		},
		condition: d.condition,
		lanes:     map[*lane[plog.Logs]]struct{}{},
		accepted:  make(chan struct{}),
	}
}

func newTracesSignal(d *Delivery, report *receiverhelper.ObsReport, format string) *signal[ptrace.Traces] {
	return &signal[ptrace.Traces]{
		name:   signalTraces,
		wanted: func() bool { return d.Traces != nil },
		of:     func(t Telemetry) ptrace.Traces { return t.Traces },
		count:  ptrace.Traces.SpanCount,
		consume: func(ctx context.Context, traces ptrace.Traces, spans int) error {
			if d.Traces.Capabilities().MutatesData {
				traces = copyOf(traces, ptrace.NewTraces())
			}
			ctx = report.StartTracesOp(ctx)
			err := d.Traces.ConsumeTraces(ctx, traces)
			report.EndTracesOp(ctx, format, spans, err)
			return err
		},
		part: partOf[consumererror.Traces, ptrace.Traces],
		join: func(all []ptrace.Traces) ptrace.Traces {
			joined := ptrace.NewTraces()
			for _, traces := range all {
				for _, resource := range traces.ResourceSpans().All() {
					resource.CopyTo(joined.ResourceSpans().AppendEmpty())
				}
			}
			return joined
		},
		condition: d.condition,
		lanes:     map[*lane[ptrace.Traces]]struct{}{},
		accepted:  make(chan struct{}),
	}
}

func copyOf[T interface{ CopyTo(T) }](from, to T) T {
	from.CopyTo(to)
	return to
}

func partOf[E interface {
	error
	Data() T
}, T any](err error) (data T, ok bool) {
	var partial E
	if ok = errors.As(err, &partial); ok {
		data = partial.Data()
	}
	return data, ok
}

// waiting returns how many records wait, and since when the oldest one does:
// zero when there is none.
func (s *signal[T]) waiting() (records int, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sum()
}

func (s *signal[T]) sum() (records int, since time.Time) {
	for l := range s.lanes {
		n, at := l.queue.Waiting()
		if records += n; n > 0 && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	return records, since
}

// refuse takes in that the oldest batch of a lane was refused; first means that it
// was not before.
func (s *signal[T]) refuse(err error, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		s.refused++
	}
	records, _ := s.sum()
	s.condition.Refused(s.name, records, err)
}

// release takes in that such a batch is no longer refused. When it was accepted,
// the other lanes try again at once.
func (s *signal[T]) release(accepted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if accepted {
		close(s.accepted)
		s.accepted = make(chan struct{})
	}
	if s.refused--; s.refused == 0 {
		s.condition.Accepted(s.name, accepted)
	}
}

// accepting returns a channel that is closed when the consumer accepts something
// that it had refused.
func (s *signal[T]) accepting() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

func (s *signal[T]) add(l *lane[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[l] = struct{}{}
}

func (s *signal[T]) remove(l *lane[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, l)
}
