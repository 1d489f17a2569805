// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
)

const (
	attrSession = "consul.session.id"
	attrEnd     = "consul.lock.end"
	attrKey     = "consul.kv.key.name"
)

// observeLocks observes the keys under locks/ and sem/ of a real Consul.
func observeLocks(t *testing.T) (*observedtest.Receiver, *lab.Consul, *api.Client) {
	t.Helper()
	consul, client := startConsul(t, lab.ServerOptions{})
	cfg := configFor(consul.Addr)
	cfg.KV.Prefixes = []string{"locks/", "sem/"}
	o := observe(t, cfg)
	watching(t, o, kv.Endpoint+"locks/", kv.Endpoint+"sem/", consulapi.EndpointSessions)
	o.Eventually(t, "a counter before its first increment", o.HasValue(0, "consul.kv.lock.acquisitions", "consul.kv.prefix", "locks/"))
	return o, consul, client
}

func sessionOf(t *testing.T, client *api.Client, behavior string) string {
	t.Helper()
	id, _, err := client.Session().CreateNoChecks(&api.SessionEntry{Name: "worker", Behavior: behavior, LockDelay: time.Millisecond}, nil)
	require.NoError(t, err)
	return id
}

func destroy(t *testing.T, client *api.Client, session string) {
	t.Helper()
	_, err := client.Session().Destroy(session, nil)
	require.NoError(t, err)
}

func hold(t *testing.T, o *observedtest.Receiver, client *api.Client, key, session string) {
	t.Helper()
	require.Eventually(t, func() bool { // after the lock delay
		got, _, err := client.KV().Acquire(&api.KVPair{Key: key, Session: session}, nil)
		return err == nil && got
	}, time.Minute, 10*time.Millisecond)
	o.Eventually(t, "the hold", o.HasEvent("consul.lock.acquired", attrSession, session, attrKey, key))
}

// endOf returns how the hold of a session ended.
func endOf(t *testing.T, o *observedtest.Receiver, session string) string {
	t.Helper()
	o.Eventually(t, "the end of the hold", o.HasSpan(kv.SpanHold, attrSession, session))
	end, _ := o.Spans(kv.SpanHold, attrSession, session)[0].Attributes().Get(attrEnd)
	return end.Str()
}

func TestAHoldEndsWithASessionThatDeletesItsKeys(t *testing.T) {
	t.Parallel()
	o, _, client := observeLocks(t)
	lost, kept := sessionOf(t, client, api.SessionBehaviorDelete), sessionOf(t, client, api.SessionBehaviorDelete)
	hold(t, o, client, "locks/lost", lost)
	hold(t, o, client, "locks/kept", kept)
	o.Eventually(t, "the session", o.HasEvent("consul.session.created", attrSession, lost))

	destroy(t, client, lost)
	assert.Equal(t, "invalidated", endOf(t, o, lost))
	assert.Equal(t, ptrace.StatusCodeError, o.Spans(kv.SpanHold, attrSession, lost)[0].Status().Code())
	o.Eventually(t, "the event", o.HasEvent("consul.lock.invalidated", attrSession, lost))
	assert.Equal(t, plog.SeverityNumberWarn, o.Events("consul.lock.invalidated", attrSession, lost)[0].SeverityNumber())
	assert.Empty(t, o.Events("consul.lock.released", attrSession, lost))
	assert.Len(t, o.Spans(kv.SpanHold, attrSession, lost, "consul.session.name", "worker", "consul.node.name", "lab"), 1, "of a session that is gone")
	assert.Len(t, o.Events("consul.lock.invalidated", "consul.session.name", "worker"), 1)

	_, err := client.KV().Delete("locks/kept", nil)
	require.NoError(t, err)
	assert.Equal(t, "deleted", endOf(t, o, kept), "its session lives")
	assert.Equal(t, ptrace.StatusCodeUnset, o.Spans(kv.SpanHold, attrSession, kept)[0].Status().Code())
}

// Consul has the key again before the receiver reads the sessions.
func TestASessionThatIsCreatedAtOnceDoesNotHideHowAHoldEnded(t *testing.T) {
	t.Parallel()
	o, _, client := observeLocks(t)
	for i := range 10 {
		key, session := fmt.Sprintf("locks/%d", i), sessionOf(t, client, api.SessionBehaviorRelease)
		hold(t, o, client, key, session)
		destroy(t, client, session)
		sessionOf(t, client, api.SessionBehaviorRelease)
		sessionOf(t, client, api.SessionBehaviorRelease)
		assert.Equal(t, "invalidated", endOf(t, o, session))
	}
}

// As the Consul API does: that the release came first is known unless the session
// is gone before it can be read.
func TestAReleaseIsNeverTakenForAnInvalidation(t *testing.T) {
	t.Parallel()
	o, _, client := observeLocks(t)
	ends := map[string]int{}
	for i := range 30 {
		key, session := fmt.Sprintf("locks/%d", i), sessionOf(t, client, api.SessionBehaviorRelease)
		hold(t, o, client, key, session)
		released, _, err := client.KV().Release(&api.KVPair{Key: key, Session: session}, nil)
		require.NoError(t, err)
		require.True(t, released)
		destroy(t, client, session)
		ends[endOf(t, o, session)]++
	}
	t.Log(ends)
	assert.Equal(t, 30, ends["released"]+ends["unknown"], ends)
	assert.Empty(t, o.Events("consul.lock.invalidated"))
}

func TestAKeyThatIsWrittenWhileItIsHeldIsHeldStill(t *testing.T) {
	t.Parallel()
	o, _, client := observeLocks(t)
	session := sessionOf(t, client, api.SessionBehaviorRelease)
	hold(t, o, client, "locks/written", session)
	_, err := client.KV().Put(&api.KVPair{Key: "locks/written", Value: []byte("a secret")}, nil)
	require.NoError(t, err)
	pair, _, err := client.KV().Get("locks/written", nil)
	require.NoError(t, err)
	require.Equal(t, []any{session, uint64(0)}, []any{pair.Session, pair.LockIndex}, "Consul sets the LockIndex to 0")
	o.Eventually(t, "the write", o.HasEvent("consul.kv.updated", attrKey, "locks/written"))
	assert.Empty(t, o.Spans(kv.SpanHold), "the hold lasts")

	destroy(t, client, session)
	assert.Equal(t, "invalidated", endOf(t, o, session))
	again := sessionOf(t, client, api.SessionBehaviorRelease)
	hold(t, o, client, "locks/written", again)
	destroy(t, client, again)
	assert.Equal(t, "invalidated", endOf(t, o, again))
	first, second := o.Spans(kv.SpanHold, attrSession, session)[0], o.Spans(kv.SpanHold, attrSession, again)[0]
	assert.NotEqual(t, first.SpanID(), second.SpanID(), "both have LockIndex 1")
	assertLinked(t, first, "next", second)
	assertLinked(t, second, "previous", first)
	o.RequireNotTold(t, "a secret")
}

// consulLock starts `consul lock`, which runs until the test ends it.
func consulLock(t *testing.T, consul *lab.Consul, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := lab.Binary(t.Context(), "consul", nil)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), binary, append(append([]string{"lock", "-http-addr=" + consul.Addr}, args...), "sleep 600")...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, cmd.Start())
	return cmd
}

func TestASemaphoreHasHoldersAndWaiters(t *testing.T) {
	t.Parallel()
	o, consul, client := observeLocks(t)
	lockers := map[string]*exec.Cmd{} // by the session
	start := func() string {
		cmd := consulLock(t, consul, "-n=2", "sem/jobs")
		var session string
		require.Eventually(t, func() bool {
			pairs, _, err := client.KV().List("sem/jobs/", nil)
			require.NoError(t, err)
			for _, pair := range pairs {
				if pair.Session != "" && lockers[pair.Session] == nil {
					session = pair.Session
				}
			}
			return session != ""
		}, 20*time.Second, 10*time.Millisecond)
		lockers[session] = cmd
		o.Eventually(t, "it contends", o.HasEvent("consul.lock.queued", attrSession, session, attrKey, "sem/jobs/"+session, "consul.lock.type", "semaphore"))
		return session
	}
	first, second := start(), start()
	for _, session := range []string{first, second} {
		o.Eventually(t, "its wait", o.HasSpan(kv.SpanWait, attrSession, session))
		o.Eventually(t, "its hold", o.HasEvent("consul.lock.acquired", attrSession, session))
	}
	third := start()
	value := func(want int64, name string) func() bool {
		return o.HasValue(want, name, "consul.semaphore.prefix", "sem/jobs")
	}
	o.Eventually(t, "the limit", value(2, "consul.kv.semaphore.limit"))
	o.Eventually(t, "the holders", value(2, "consul.kv.semaphore.holder.count"))
	o.Eventually(t, "the waiter", value(1, "consul.kv.semaphore.waiter.count"))
	o.Eventually(t, "what is held", o.HasValue(2, "consul.kv.lock.held.count", "consul.kv.prefix", "sem/"))
	o.Eventually(t, "the acquisitions", o.HasValue(2, "consul.kv.lock.acquisitions", "consul.kv.prefix", "sem/"))
	assert.Empty(t, o.Events("consul.lock.acquired", attrSession, third))
	assert.Empty(t, o.Spans(kv.SpanWait, attrSession, third), "it waits")

	require.NoError(t, lockers[first].Process.Signal(syscall.SIGTERM)) // It releases its slot.
	o.Eventually(t, "the third has the slot", o.HasEvent("consul.lock.acquired", attrSession, third))
	assert.Equal(t, "released", endOf(t, o, first))
	wait, marker := o.Spans(kv.SpanWait, attrSession, third)[0], o.Spans(kv.SpanHold+".start", attrSession, third)[0]
	assert.Equal(t, wait.TraceID(), marker.TraceID())
	assert.Equal(t, ptrace.StatusCodeUnset, wait.Status().Code())

	fourth := start()
	destroy(t, client, fourth)
	o.Eventually(t, "the end of the fourth's wait", o.HasEvent("consul.lock.abandoned", attrSession, fourth, attrEnd, "invalidated"))
	_ = lockers[fourth].Process.Kill() // It would contend again.
	destroy(t, client, second)
	assert.Equal(t, "invalidated", endOf(t, o, second))
	o.Eventually(t, "one holder, while the other is listed still", value(1, "consul.kv.semaphore.holder.count"))
	hold := o.Spans(kv.SpanHold, attrSession, second)[0]
	assert.Equal(t, o.Spans(kv.SpanWait, attrSession, second)[0].SpanID(), hold.ParentSpanID())
	assert.Empty(t, o.Events("consul.lock.abandoned", attrSession, first), "it does not wait before it deletes its key")

	for _, cmd := range lockers {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // Those whose session was destroyed have ended, and say so.
	}
}

// What the configuration says of a prefix is what Consul does with it.
func TestConsulRewritesThePrefixesThatAreRefused(t *testing.T) {
	t.Parallel()
	consul, _ := startConsul(t, lab.ServerOptions{})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, prefix := range []string{
		"locks//", "locks/./", "a/../locks/", "locks/.", "locks/..", "..", "./", "//x", "a\nb", "a\u00a0b",
		"locks/", "", "locks", "locks/.x", "locks/..x/", "a b", "a?b", "a#b", "%2F", "%2e%2e/", "a%", "ü", ".../",
	} {
		list := url.URL{Scheme: "http", Host: consul.Addr, Path: "/v1/kv/" + prefix, RawQuery: "recurse"}
		response, err := client.Get(list.String())
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		accepted := response.StatusCode == http.StatusOK || response.StatusCode == http.StatusNotFound
		err = kv.Config{Prefixes: []string{prefix}}.ValidatePrefixes()
		assert.Equal(t, accepted, err == nil, "%q: %d, %v", prefix, response.StatusCode, err)
	}
}

// The reads that show how a hold ended take time, in another datacenter most of all.
func TestTheTimeOfAnEndIsThatOfTheAnswerThatShowsIt(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	p := startProxy(t, consul.Addr)
	cfg := configFor(p.addr())
	cfg.KV.Prefixes = []string{"locks/"}
	o := observe(t, cfg)
	watching(t, o, kv.Endpoint+"locks/", consulapi.EndpointSessions)
	session := sessionOf(t, client, api.SessionBehaviorRelease)
	hold(t, o, client, "locks/slow", session)
	var asked atomic.Pointer[time.Time]
	slow := only("session/info/"+session, func(http.ResponseWriter, *http.Request) bool {
		now := time.Now()
		asked.CompareAndSwap(nil, &now)
		time.Sleep(1500 * time.Millisecond)
		return false
	})
	p.fault.Store(&slow)
	destroy(t, client, session)
	assert.Equal(t, "invalidated", endOf(t, o, session))
	ended := o.Spans(kv.SpanHold, attrSession, session)[0].EndTimestamp().AsTime()
	assert.False(t, ended.After(*asked.Load()), "it ended at %s, and Consul was asked how at %s", ended, asked.Load())
}
