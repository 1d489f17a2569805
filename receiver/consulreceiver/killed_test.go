// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
)

// killable is a receiver that can be killed: the next one starts with what the storage
// had by then.
type killable struct {
	consul *lab.Consul
	folder string // of the storage
	runs   []*observedtest.Receiver
}

func (k *killable) start(t *testing.T) *observedtest.Receiver {
	t.Helper()
	id, host := observedtest.FileStorage(t, k.folder)
	cfg := configForKeys(k.consul.Addr)
	cfg.Storage = &id
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	o := observedtest.StartOn(t, host, NewFactory(), cfg)
	watching(t, o, endpointChecks, endpointKV+"locks/")
	k.runs = append(k.runs, o)
	return o
}

// kill ends the receiver as if it had been killed now, and starts the next one.
func (k *killable) kill(t *testing.T) *observedtest.Receiver {
	t.Helper()
	time.Sleep(time.Second) // What was accepted is stored soon.
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(k.folder)))
	k.runs[len(k.runs)-1].Shutdown(t)
	k.folder = copied
	return k.start(t)
}

// spans and events return what all runs delivered.
func (k *killable) spans(name string, attributes ...string) (all []ptrace.Span) {
	for _, o := range k.runs {
		all = append(all, o.Spans(name, attributes...)...)
	}
	return all
}

func (k *killable) events(name string, attributes ...string) (all []plog.LogRecord) {
	for _, o := range k.runs {
		all = append(all, o.Events(name, attributes...)...)
	}
	return all
}

// requireOnce requires that a span was announced once and ended once, and returns it.
func (k *killable) requireOnce(t *testing.T, name string, attributes ...string) ptrace.Span {
	t.Helper()
	started, ended := k.spans(name+".start", attributes...), k.spans(name, attributes...)
	require.Len(t, started, 1, "%s.start of %s", name, attributes)
	require.Len(t, ended, 1, "%s of %s", name, attributes)
	assert.Equal(t, started[0].ParentSpanID(), ended[0].SpanID())
	assert.Equal(t, started[0].TraceID(), ended[0].TraceID())
	assert.Equal(t, started[0].StartTimestamp(), ended[0].StartTimestamp())
	return ended[0]
}

// startBoth starts a Consul with the services web and db, and a receiver that has reported an
// outage of web in both signals.
func startBoth(t *testing.T) (k *killable, o *observedtest.Receiver, client *api.Client, session string) {
	t.Helper()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	registerService(t, client, "db")
	session = newSession(t, client, "holder")
	k = &killable{consul: consul, folder: t.TempDir()}
	o = k.start(t)
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))
	o.Eventually(t, "the event", o.HasEvent(transition, attrCheck, "web"))
	return k, o, client, session
}

// turn ends the outage of web, begins one of db, and has a lock acquired.
func turn(t *testing.T, client *api.Client, session string) {
	t.Helper()
	set(t, client, "web", api.HealthPassing)
	set(t, client, "db", api.HealthCritical)
	acquire(t, client, session)
}

// turnBack ends the outage of db, and has the lock released.
func turnBack(t *testing.T, client *api.Client, session string) {
	t.Helper()
	set(t, client, "db", api.HealthPassing)
	_, _, err := client.KV().Release(&api.KVPair{Key: lockKey, Session: session}, nil)
	require.NoError(t, err)
}

func isReconciled(attributes pcommon.Map) bool {
	reconciled, there := attributes.Get(period.AttrReconciled)
	return there && reconciled.Bool()
}

// What one signal has delivered is neither lost nor repeated when the collector is killed
// while the other one is refused; the other one goes on from where it was, with a gap.
func TestAKillWhileLogsAreRefused(t *testing.T) {
	t.Parallel()
	k, o, client, session := startBoth(t)
	o.RefuseLogs(true)
	turn(t, client, session)
	o.Eventually(t, "its end", o.HasSpan(health.SpanIncident, "consul.service.name", "web"))
	o.Eventually(t, "the other outage", o.HasSpan(health.SpanOutage+".start", attrCheck, "db"))
	o.Eventually(t, "the hold", o.HasSpan(kv.SpanHold+".start"))

	o = k.kill(t)
	o.Eventually(t, "the gap", o.HasEvent("consul.watch.gap", "consul.endpoint", endpointChecks))
	turnBack(t, client, session)
	o.Eventually(t, "its end", o.HasSpan(health.SpanIncident, "consul.service.name", "db"))
	o.Eventually(t, "the end of the hold", o.HasSpan(kv.SpanHold))
	o.Eventually(t, "the last event", o.HasEvent("consul.lock.released"))
	o.Eventually(t, "the last event", o.HasEvent(transition, attrCheck, "db"))

	outage := k.requireOnce(t, health.SpanOutage, attrCheck, "web")
	other := k.requireOnce(t, health.SpanOutage, attrCheck, "db")
	hold := k.requireOnce(t, kv.SpanHold)
	for _, service := range []string{"web", "db"} {
		k.requireOnce(t, health.SpanIncident, "consul.service.name", service)
	}
	assert.False(t, isReconciled(outage.Attributes()), "it was observed")
	events := k.events(transition, attrCheck, "web")
	require.Len(t, events, 2)
	assert.Equal(t, outage.SpanID(), events[1].SpanID())
	assert.True(t, isReconciled(events[1].Attributes()), "it is reported late")
	events = k.events(transition, attrCheck, "db")
	require.Len(t, events, 1, "that it began to fail is in the gap")
	assert.Equal(t, other.SpanID(), events[0].SpanID())
	assert.Empty(t, k.events("consul.lock.acquired"), "it is in the gap")
	events = k.events("consul.lock.released")
	require.Len(t, events, 1)
	assert.Equal(t, hold.SpanID(), events[0].SpanID())
}

func TestAKillWhileTracesAreRefused(t *testing.T) {
	t.Parallel()
	k, o, client, session := startBoth(t)
	o.RefuseTraces(true)
	turn(t, client, session)
	o.Eventually(t, "both events", func() bool { return len(o.Events(transition, attrCheck, "web")) == 2 })
	o.Eventually(t, "the other outage", o.HasEvent(transition, attrCheck, "db"))
	o.Eventually(t, "the hold", o.HasEvent("consul.lock.acquired"))

	o = k.kill(t)
	o.Eventually(t, "its end", o.HasSpan(health.SpanIncident, "consul.service.name", "web"))
	turnBack(t, client, session)
	o.Eventually(t, "the other outage", o.HasSpan(health.SpanIncident, "consul.service.name", "db"))
	o.Eventually(t, "the hold", o.HasSpan(kv.SpanHold))
	o.Eventually(t, "the last event", o.HasEvent("consul.lock.released"))
	o.Eventually(t, "the last event", o.HasEvent(transition, attrCheck, "db"))

	outage := k.requireOnce(t, health.SpanOutage, attrCheck, "web")
	k.requireOnce(t, health.SpanIncident, "consul.service.name", "web")
	assert.True(t, isReconciled(outage.Attributes()), "its end is reported late")
	events := k.events(transition, attrCheck, "web")
	require.Len(t, events, 2)
	assert.Equal(t, outage.SpanID(), events[1].SpanID())
	assert.False(t, isReconciled(events[1].Attributes()), "it was observed")
	for name, attributes := range map[string][]string{health.SpanOutage: {attrCheck, "db"}, kv.SpanHold: nil} {
		assert.Empty(t, k.spans(name+".start", attributes...), "that it began is in the gap")
		spans := k.spans(name, attributes...)
		require.Len(t, spans, 1)
		_, before := spans[0].Attributes().Get(period.AttrBeganBeforeObservation)
		assert.True(t, before)
	}
	require.Len(t, k.events(transition, attrCheck, "db"), 2)
	require.Len(t, k.events("consul.lock.acquired"), 1)
	require.Len(t, k.events("consul.lock.released"), 1)
	for _, endpoint := range []string{endpointChecks, endpointKV + "locks/"} {
		assert.Empty(t, k.events("consul.watch.gap", "consul.endpoint", endpoint), "the events have none")
	}
}
