// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"net/http"
	"strings"
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

// A queue that is full refuses spans with an error that asks for a retry. The
// collector ends on SIGTERM all the same. When Jaeger is back it gets each span that
// was accepted, and those of receivers, which have retried.
func TestAQueueThatIsFull(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd and Jaeger; run make test")
	}
	t.Parallel()
	jaeger, back := startAwayJaeger(t)
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	begin := time.Now()
	a := startAlone(t, "JAEGER_OTLP_ENDPOINT="+jaeger.OTLPGRPC, "ETCD_ENDPOINTS="+etcd.Endpoints[0],
		"ETCD_WATCH_PREFIXES=/keys/", "ETCD_LOCK_PREFIXES=/locks/", "QUEUE_SIZE=100000")
	require.Eventually(t, func() bool { // The baseline is over when a change is reported.
		_, err := client.Put(t.Context(), "/keys/ready", "")
		return err == nil && strings.Contains(readFile("", a.events), "/keys/ready")
	}, soon, 100*time.Millisecond)

	p := newPusher("client-0", a.otlpHTTP)
	p.client.Timeout = time.Minute
	defer p.client.CloseIdleConnections()
	accepted := map[string]bool{}
	for {
		body, ids, err := p.trace(10, 100)
		require.NoError(t, err)
		status := p.post(t.Context(), body)
		if status == http.StatusServiceUnavailable {
			break
		}
		require.Equal(t, http.StatusOK, status)
		for _, id := range ids {
			accepted[id] = true
		}
	}
	require.NotEmpty(t, accepted)
	rejected := func() int { return strings.Count(a.collector.LogTail(1000), "Exporting failed. Rejecting data.") }
	before := rejected()
	session, err := concurrency.NewSession(client)
	require.NoError(t, err)
	lock := concurrency.NewMutex(session, "/locks/deploy")
	require.NoError(t, lock.Lock(t.Context()))
	require.NoError(t, lock.Unlock(t.Context()))
	require.NoError(t, session.Close())
	require.Eventually(t, func() bool { return rejected() > before }, soon, 50*time.Millisecond, "the receiver's spans are refused, too")

	require.NoError(t, a.collector.Restart(t.Context()), "SIGTERM must end it")
	back()
	read := readback.Jaeger(jaeger.QueryURL)
	arrived := map[string]bool{}
	require.Eventually(t, func() bool {
		spans, err := read.Spans(t.Context(), p.service, begin)
		for _, span := range spans {
			arrived[span.SpanID] = true
		}
		return err == nil && len(arrived) >= len(accepted)
	}, soon, 500*time.Millisecond, "all spans that were accepted")
	assert.Equal(t, accepted, arrived)
	require.Eventually(t, func() bool {
		spans, _ := read.Spans(t.Context(), "etcd", begin)
		for _, span := range spans {
			if span.Name == "etcd.lock.hold" && span.Attributes["etcd.lock.name"] == "/locks/deploy" {
				return true
			}
		}
		return false
	}, soon, 500*time.Millisecond, "the span of the lock")
}
