// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// servers are those that the collector in the container observes, and sends to, at
// their usual addresses.
type servers struct {
	*lab.Lab
	jaeger readback.Jaeger
	since  time.Time
}

func startServers(t *testing.T, c *container) *servers {
	t.Helper()
	s := &servers{since: time.Now().Add(-time.Minute)}
	var err error
	s.Lab, err = lab.Start(t.Context(), lab.Options{Servers: []string{"etcd", "jaeger"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	s.jaeger = readback.Jaeger(s.Jaeger.QueryURL)
	c.forward(t, "127.0.0.1:2379", s.Etcd.Endpoints[0][len("http://"):])
	c.forward(t, "127.0.0.1:4317", s.Jaeger.OTLPGRPC)
	return s
}

// hold takes a lock, and returns how to release it.
func (s *servers) hold(t *testing.T, name string) (release func()) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: s.Etcd.Endpoints, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	session, err := concurrency.NewSession(client, concurrency.WithTTL(120))
	require.NoError(t, err)
	mutex := concurrency.NewMutex(session, name)
	require.NoError(t, mutex.Lock(t.Context()))
	released := false
	t.Cleanup(func() {
		if !released {
			_ = session.Close()
		}
		client.Close()
	})
	return func() {
		require.NoError(t, mutex.Unlock(t.Context()))
		require.NoError(t, session.Close())
		released = true
	}
}

// requireObserved requires that locks are observed: one that was taken before the
// first list of keys would be no news.
func (s *servers) requireObserved(t *testing.T) {
	t.Helper()
	for i := range 20 {
		lock := fmt.Sprintf("/locks/observed/%d", i)
		release := s.hold(t, lock)
		time.Sleep(time.Second)
		seen := s.spans(t, "etcd.lock.attempt.start", lock)
		release()
		if len(seen) > 0 {
			return
		}
	}
	require.FailNow(t, "no lock is observed")
}

// spans are those of a name that are about a lock.
func (s *servers) spans(t *testing.T, name, lock string) (found []readback.Span) {
	t.Helper()
	spans, err := s.jaeger.Spans(t.Context(), "etcd", s.since)
	require.NoError(t, err)
	for _, span := range spans {
		if span.Name == name && span.Attributes["etcd.lock.name"] == lock {
			found = append(found, span)
		}
	}
	return found
}

// requireSpan requires one such span, soon.
func (s *servers) requireSpan(t *testing.T, name, lock string) readback.Span {
	t.Helper()
	var found []readback.Span
	require.Eventually(t, func() bool {
		found = s.spans(t, name, lock)
		return len(found) > 0
	}, soon, 500*time.Millisecond, "%s of %s", name, lock)
	require.Len(t, found, 1, "%s of %s", name, lock)
	return found[0]
}

// requireOneSpan requires that a lock, which was held since a marker, is one span
// that began then, in the same trace.
func (s *servers) requireOneSpan(t *testing.T, marker readback.Span, lock string) {
	t.Helper()
	whole := s.requireSpan(t, "etcd.lock.attempt", lock)
	assert.Equal(t, marker.TraceID, whole.TraceID)
	assert.WithinDuration(t, marker.Start, whole.Start, time.Millisecond)
	held := s.requireSpan(t, "etcd.lock.hold", lock)
	assert.Equal(t, marker.TraceID, held.TraceID)
	assert.Nil(t, whole.Attributes["observation.began_before"])
	assert.False(t, whole.Failed)
}
