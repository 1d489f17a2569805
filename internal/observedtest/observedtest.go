// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package observedtest runs a receiver in all three signals, as a collector
// would, and finds what a test asks for in what the receiver made.
package observedtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// soon is ample for a real server on a busy machine.
const soon = 90 * time.Second

var errRefused = errors.New("refused, but not for good")

// Receiver is a running receiver, and what it made.
type Receiver struct {
	Traces  consumertest.TracesSink
	Logs    consumertest.LogsSink
	Metrics consumertest.MetricsSink
	Log     *observer.ObservedLogs

	own        *componenttest.Telemetry // its telemetry about itself
	components []*ending
	statuses   []*status
	refuses    struct{ logs, traces atomic.Bool }
	late       atomic.Int32 // calls of consumers whose pipeline had ended
}

// ending is a component of one signal, behind which the pipeline ends with it.
type ending struct {
	component.Component
	ended atomic.Bool
}

// Start starts a receiver of all three signals, which ends with the test.
func Start(t *testing.T, factory receiver.Factory, config component.Config) *Receiver {
	t.Helper()
	return StartOn(t, componenttest.NewNopHost(), factory, config)
}

// StartOn starts it on a host that has extensions.
func StartOn(t *testing.T, host component.Host, factory receiver.Factory, config component.Config) *Receiver {
	t.Helper()
	r := &Receiver{}
	core, log := observer.New(zap.DebugLevel)
	r.Log = log
	settings := receivertest.NewNopSettings(factory.Type())
	settings.ID = component.NewID(factory.Type()) // What is stored belongs to it.
	r.own = componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, r.own.Shutdown(context.Background())) })
	settings.TelemetrySettings = r.own.NewTelemetrySettings()
	settings.Logger = zap.New(core)

	var err error
	metrics, logs, traces := &ending{}, &ending{}, &ending{}
	r.components = []*ending{metrics, logs, traces}
	metrics.Component, err = factory.CreateMetrics(t.Context(), settings, config, r.nextMetrics(t, metrics))
	require.NoError(t, err)
	logs.Component, err = factory.CreateLogs(t.Context(), settings, config, r.nextLogs(t, logs))
	require.NoError(t, err)
	traces.Component, err = factory.CreateTraces(t.Context(), settings, config, r.nextTraces(t, traces))
	require.NoError(t, err)
	for _, c := range r.components {
		s := &status{}
		r.statuses = append(r.statuses, s)
		require.NoError(t, c.Start(t.Context(), reported{host, s}))
	}
	t.Cleanup(func() { r.Shutdown(t) })
	return r
}

func (r *Receiver) nextMetrics(t *testing.T, of *ending) consumer.Metrics {
	t.Helper()
	next, err := consumer.NewMetrics(func(ctx context.Context, metrics pmetric.Metrics) error {
		r.called(of)
		return r.Metrics.ConsumeMetrics(ctx, metrics)
	})
	require.NoError(t, err)
	return next
}

func (r *Receiver) nextLogs(t *testing.T, of *ending) consumer.Logs {
	t.Helper()
	next, err := consumer.NewLogs(func(ctx context.Context, logs plog.Logs) error {
		r.called(of)
		if r.refuses.logs.Load() {
			return errRefused
		}
		return r.Logs.ConsumeLogs(ctx, logs)
	})
	require.NoError(t, err)
	return next
}

func (r *Receiver) nextTraces(t *testing.T, of *ending) consumer.Traces {
	t.Helper()
	next, err := consumer.NewTraces(func(ctx context.Context, traces ptrace.Traces) error {
		r.called(of)
		if r.refuses.traces.Load() {
			return errRefused
		}
		return r.Traces.ConsumeTraces(ctx, traces)
	})
	require.NoError(t, err)
	return next
}

// called counts what comes too late: the collector ends a pipeline as soon as its
// receiver's component has ended, whatever the components of other signals do.
func (r *Receiver) called(of *ending) {
	if of.ended.Load() {
		r.late.Add(1)
	}
}

// status is the last one of a component.
type status struct {
	atomic.Pointer[componentstatus.Event]
}

// reported is a host that keeps the last status of its component.
type reported struct {
	component.Host
	*status
}

// Report implements componentstatus.Reporter.
func (h reported) Report(event *componentstatus.Event) { h.Store(event) }

// Trouble is what the status of the components complains of, each complaint
// once; empty when they are well.
func (r *Receiver) Trouble() string {
	var complaints []string
	for _, s := range r.statuses {
		event := s.Load()
		if event == nil || event.Err() == nil {
			continue
		}
		for _, complaint := range strings.Split(event.Err().Error(), "\n") {
			if !slices.Contains(complaints, complaint) {
				complaints = append(complaints, complaint)
			}
		}
	}
	return strings.Join(complaints, "\n")
}

// Refuse has the next consumers of events and spans refuse them, but not for
// good, or take them again.
func (r *Receiver) Refuse(refuse bool) {
	r.RefuseLogs(refuse)
	r.RefuseTraces(refuse)
}

// RefuseLogs is Refuse for events alone.
func (r *Receiver) RefuseLogs(refuse bool) { r.refuses.logs.Store(refuse) }

// RefuseTraces is Refuse for spans alone.
func (r *Receiver) RefuseTraces(refuse bool) { r.refuses.traces.Store(refuse) }

// Shutdown ends the receiver. A receiver fails the test that hangs, or tells anything
// in a pipeline that has ended.
func (r *Receiver) Shutdown(t *testing.T) {
	t.Helper()
	components := r.components
	r.components = nil
	ended := make(chan error, len(components))
	for _, c := range slices.Backward(components) { // It is scraped meanwhile.
		go func() { ended <- c.Shutdown(context.Background()) }()
		select {
		case err := <-ended:
			require.NoError(t, err)
			c.ended.Store(true)
		case <-time.After(soon):
			require.Fail(t, "Shutdown hangs")
		}
	}
	require.Zero(t, r.late.Load(), "calls of consumers whose pipeline had ended")
}

// Eventually waits until the condition holds.
func (r *Receiver) Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, 20*time.Millisecond, what)
	r.settle(t)
}

// settle waits, for a while, until nothing waits to be accepted: events and spans of
// one observation arrive independently.
func (r *Receiver) settle(t *testing.T) {
	t.Helper()
	if r.own == nil {
		return // It is made of consumers alone.
	}
	time.Sleep(time.Millisecond) // Else the one may be queued after the other has arrived.
	for range 100 {
		if r.refuses.logs.Load() || r.refuses.traces.Load() || r.Own(t, "otelcol_watch_queue_size") == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Spans returns the spans of that name with these attributes, their own or
// their resource's, given as keys and values.
func (r *Receiver) Spans(name string, attributes ...string) (spans []ptrace.Span) {
	for _, td := range r.Traces.AllTraces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					if span.Name() == name && match(attributes, span.Attributes(), rs.Resource().Attributes()) {
						spans = append(spans, span)
					}
				}
			}
		}
	}
	return spans
}

// HasSpan is a condition: there is such a span.
func (r *Receiver) HasSpan(name string, attributes ...string) func() bool {
	return func() bool { return len(r.Spans(name, attributes...)) > 0 }
}

// Events returns the events with these attributes, their own or their
// resource's, in the order in which they were told. An empty name stands for
// every name.
func (r *Receiver) Events(name string, attributes ...string) (events []plog.LogRecord) {
	for _, ld := range r.Logs.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, event := range sl.LogRecords().All() {
					if (name == "" || event.EventName() == name) && match(attributes, event.Attributes(), rl.Resource().Attributes()) {
						events = append(events, event)
					}
				}
			}
		}
	}
	return events
}

// HasEvent is a condition: there is such an event.
func (r *Receiver) HasEvent(name string, attributes ...string) func() bool {
	return func() bool { return len(r.Events(name, attributes...)) > 0 }
}

// Value returns the value of a metric's data point with these attributes, its
// own or its resource's, in the newest batch.
func (r *Receiver) Value(name string, attributes ...string) (int64, bool) {
	point, ok := r.point(name, attributes...)
	if !ok {
		return 0, false
	}
	return point.IntValue(), true
}

// Float is like Value, for a metric of floating point numbers.
func (r *Receiver) Float(name string, attributes ...string) (float64, bool) {
	point, ok := r.point(name, attributes...)
	if !ok {
		return 0, false
	}
	return point.DoubleValue(), true
}

// HasMetric reports whether a metric has a data point in the newest batch.
func (r *Receiver) HasMetric(name string) bool {
	_, ok := r.point(name)
	return ok
}

func (r *Receiver) point(name string, attributes ...string) (point pmetric.NumberDataPoint, ok bool) {
	all := r.Metrics.AllMetrics()
	if len(all) == 0 {
		return point, false
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, point := range points(m).All() {
					if m.Name() == name && match(attributes, point.Attributes(), rm.Resource().Attributes()) {
						return point, true
					}
				}
			}
		}
	}
	return point, false
}

// HasValue is a condition: the newest value is this one.
func (r *Receiver) HasValue(want int64, name string, attributes ...string) func() bool {
	return func() bool {
		got, ok := r.Value(name, attributes...)
		return ok && got == want
	}
}

// Own returns the sum of a counter's or gauge's data points with these attributes,
// in the receiver's telemetry about itself. Its name has otelcol_ before it.
func (r *Receiver) Own(t *testing.T, name string, attributes ...string) (sum int64) {
	t.Helper()
	for _, point := range r.ownPoints(t, name) {
		if has(point.Attributes, attributes) {
			sum += point.Value
		}
	}
	return sum
}

// OwnAttributes returns what an attribute is in the data points with this value,
// sorted, in the receiver's telemetry about itself.
func (r *Receiver) OwnAttributes(t *testing.T, name, key string, value int64) (found []string) {
	t.Helper()
	for _, point := range r.ownPoints(t, name) {
		if of, ok := point.Attributes.Value(attribute.Key(key)); ok && point.Value == value {
			found = append(found, of.String())
		}
	}
	slices.Sort(found)
	return found
}

func (r *Receiver) ownPoints(t *testing.T, name string) (points []metricdata.DataPoint[int64]) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, r.own.Reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				points = append(points, data.DataPoints...)
			case metricdata.Gauge[int64]:
				points = append(points, data.DataPoints...)
			}
		}
	}
	return points
}

func has(set attribute.Set, attributes []string) bool {
	for i := 0; i < len(attributes); i += 2 {
		if value, ok := set.Value(attribute.Key(attributes[i])); !ok || value.String() != attributes[i+1] {
			return false
		}
	}
	return true
}

// Warnings returns how often an endpoint was said to fail.
func (r *Receiver) Warnings(endpoint string) int {
	return r.Log.FilterLevelExact(zap.WarnLevel).FilterField(zap.String("endpoint", endpoint)).Len()
}

// Recoveries returns how often an endpoint was said to be observed again.
func (r *Receiver) Recoveries(endpoint string) int {
	return r.Log.FilterLevelExact(zap.InfoLevel).FilterField(zap.String("endpoint", endpoint)).Len()
}

// RequireNotTold requires that no secret is in anything the receiver made or
// logged.
func (r *Receiver) RequireNotTold(t *testing.T, secrets ...string) {
	t.Helper()
	var told strings.Builder
	for _, entry := range r.Log.All() {
		fmt.Fprintln(&told, entry.Message, entry.ContextMap())
	}
	add := func(json []byte, err error) {
		require.NoError(t, err)
		told.Write(json)
	}
	for _, md := range r.Metrics.AllMetrics() {
		add((&pmetric.JSONMarshaler{}).MarshalMetrics(md))
	}
	for _, ld := range r.Logs.AllLogs() {
		add((&plog.JSONMarshaler{}).MarshalLogs(ld))
	}
	for _, td := range r.Traces.AllTraces() {
		add((&ptrace.JSONMarshaler{}).MarshalTraces(td))
	}
	for _, secret := range secrets {
		require.NotContains(t, told.String(), secret)
	}
}

// Hang returns the address of a server that accepts connections and never
// answers.
func Hang(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints()
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints()
	default:
		return pmetric.NewNumberDataPointSlice()
	}
}

// match reports whether one of the maps has each of the attributes.
func match(attributes []string, maps ...pcommon.Map) bool {
	for i := 0; i < len(attributes); i += 2 {
		found := false
		for _, m := range maps {
			value, ok := m.Get(attributes[i])
			found = found || ok && value.AsString() == attributes[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}
