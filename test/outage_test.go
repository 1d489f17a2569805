// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const (
	outage = 2 * time.Minute
	// Jaeger receives 4 MiB at a time at most.
	largePush = 8 << 20
)

// startAwayJaeger starts a Jaeger, and stops it: its address is known, and back brings it up.
func startAwayJaeger(t *testing.T) (jaeger *lab.Jaeger, back func()) {
	t.Helper()
	jaeger, err := lab.StartJaeger(t.Context(), lab.ServerOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, jaeger.Stop(context.Background())) })
	require.NoError(t, jaeger.Process().Stop(t.Context()))
	return jaeger, func() { require.NoError(t, jaeger.Restart(t.Context())) }
}

// Jaeger is away for two minutes, and meanwhile the collector is killed and started
// again. In the end Jaeger has each span that an application had accepted and each
// hold of a lock, and the file has each event.
func TestSpansAndEventsSurviveAnOutageOfJaegerAndAKill(t *testing.T) {
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
		"ETCD_WATCH_PREFIXES=/keys/", "ETCD_LOCK_PREFIXES=/locks/")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("collector:\n%s\njaeger:\n%s", a.collector.LogTail(200), jaeger.LogTail(50))
		}
	})
	require.Eventually(t, func() bool { // The baseline is over when a change is reported.
		_, err := client.Put(t.Context(), "/keys/ready", "")
		return err == nil && strings.Contains(readFile("", a.events), "/keys/ready")
	}, soon, 100*time.Millisecond)

	ctx, enough := context.WithDeadline(t.Context(), begin.Add(outage))
	defer enough()
	var load errgroup.Group
	var pushers []*pusher
	for i := range 3 {
		p := newPusher(fmt.Sprintf("client-%d", i), a.otlpHTTP)
		pushers = append(pushers, p)
		load.Go(func() error {
			defer p.client.CloseIdleConnections()
			err := p.push(t.Context(), 40, largePush/40)
			for err == nil && every(ctx, 250*time.Millisecond) {
				err = p.push(t.Context(), 10, 100)
			}
			return err
		})
	}
	var puts []string
	load.Go(func() (err error) {
		for err == nil && every(ctx, 50*time.Millisecond) {
			puts = append(puts, fmt.Sprintf("/keys/%d", len(puts)))
			_, err = client.Put(t.Context(), puts[len(puts)-1], "")
		}
		return err
	})
	var locks []string
	load.Go(func() error {
		session, err := concurrency.NewSession(client)
		for err == nil && every(ctx, 250*time.Millisecond) {
			locks = append(locks, fmt.Sprintf("/locks/%d", len(locks)))
			lock := concurrency.NewMutex(session, locks[len(locks)-1])
			if err = lock.Lock(t.Context()); err == nil {
				err = lock.Unlock(t.Context())
			}
		}
		if err != nil {
			return err
		}
		return session.Close()
	})

	time.Sleep(outage / 2) // Let it fill the queue.
	require.NoError(t, a.collector.Kill())
	time.Sleep(time.Second) // Let it miss some.
	require.NoError(t, a.collector.Restart(t.Context()))
	require.NoError(t, load.Wait())
	back()

	read := readback.Jaeger(jaeger.QueryURL)
	for _, p := range pushers {
		var arrived map[string]int
		require.Eventually(t, func() bool {
			spans, err := read.Spans(t.Context(), p.service, begin)
			arrived = map[string]int{}
			for _, span := range spans {
				arrived[span.SpanID]++
			}
			return err == nil && len(arrived) >= len(p.pushed)
		}, soon, time.Second, "all spans of %s", p.service)
		for id, times := range arrived {
			assert.LessOrEqual(t, times, p.pushed[id], "span %s of %s", id, p.service)
		}
		t.Logf("%s: %d spans", p.service, len(arrived))
	}
	holds := map[string]map[string]bool{} // span IDs by name of the lock
	require.Eventually(t, func() bool {
		spans, err := read.Spans(t.Context(), "etcd", begin)
		for _, span := range spans {
			if name, ok := span.Attributes["etcd.lock.name"].(string); ok && span.Name == "etcd.lock.hold" {
				if holds[name] == nil {
					holds[name] = map[string]bool{}
				}
				holds[name][span.SpanID] = true
			}
		}
		return err == nil && len(holds) >= len(locks)
	}, soon, time.Second, "all holds")
	for _, name := range locks {
		assert.Len(t, holds[name], 1, name)
	}

	for event, want := range map[[2]string][]string{
		{"etcd.key.put", "etcd.key.name"}:        puts,
		{"etcd.lock.acquired", "etcd.lock.name"}: locks,
		{"etcd.lock.released", "etcd.lock.name"}: locks,
	} {
		var found map[string]map[string]bool
		require.Eventually(t, func() bool {
			found = eventsNamed(t, a.events, event[0], event[1])
			for _, object := range want {
				if len(found[object]) == 0 {
					return false
				}
			}
			return true
		}, soon, time.Second, "all of %s", event[0])
		for _, object := range want {
			assert.Len(t, found[object], 1, "%s of %s", event[0], object)
		}
	}
	t.Logf("%d puts, %d locks", len(puts), len(locks))
}

// every waits for a time; false when ctx is done.
func every(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// eventsNamed returns the IDs of the events of a name, by the object that an attribute names.
func eventsNamed(t *testing.T, path, name, attribute string) map[string]map[string]bool {
	t.Helper()
	ids := map[string]map[string]bool{}
	eachLog(t, path, func(event plog.LogRecord) {
		object, ok := event.Attributes().Get(attribute)
		if event.EventName() != name || !ok {
			return
		}
		id, ok := event.Attributes().Get("log.record.uid")
		require.True(t, ok)
		if ids[object.Str()] == nil {
			ids[object.Str()] = map[string]bool{}
		}
		ids[object.Str()][id.Str()] = true
	})
	return ids
}
