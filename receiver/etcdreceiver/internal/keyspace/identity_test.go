// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const otherCluster = "0123456789abcdef"

// identified is a span as it was exported, with the cluster of its resource.
type identified struct {
	name, cluster string
	trace         pcommon.TraceID
	span, link    pcommon.SpanID
}

// collector is one that keeps the spans that it exports.
type collector struct {
	m       *keyspace.Machine
	seconds int
	spans   []identified
}

func newCollector() *collector {
	prefixes := keyspace.Prefixes{Locks: []string{"/locks/"}, Elections: []string{"/elections/"}}
	return &collector{m: keyspace.NewMachine(prefixes, keyspace.Limits{Keys: 100, Leases: 100}, false)}
}

// observe observes the keys of a cluster under a prefix.
func (c *collector) observe(cluster string, o keyspace.Observation) {
	o.Prefix = "/locks/"
	c.seconds++
	now := second(c.seconds)
	r := collect.NewRenderer(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type), now, cluster)
	keyspace.Render(r, c.m.Step(now, o))
	resource := collect.ClusterResource(metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig()), cluster)
	for _, rs := range r.Emit(resource).Traces.ResourceSpans().All() {
		id, _ := rs.Resource().Attributes().Get("etcd.cluster.id")
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			exported := identified{name: span.Name(), cluster: id.Str(), trace: span.TraceID(), span: span.SpanID()}
			if span.Links().Len() > 0 {
				exported.link = span.Links().At(0).SpanID()
			}
			c.spans = append(c.spans, exported)
		}
	}
}

func (c *collector) named(name string) (spans []identified) {
	for _, span := range c.spans {
		if span.name == name {
			spans = append(spans, span)
		}
	}
	return spans
}

// again returns the collector after a restart, whose first list is to have what it saved.
func (c *collector) again(t *testing.T, o keyspace.Observation) (*collector, keyspace.Observation) {
	t.Helper()
	saved, ok := c.m.Save("/locks/")
	require.True(t, ok)
	text, err := json.Marshal(saved)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &o.Saved))
	next := newCollector()
	next.spans, next.seconds = c.spans, c.seconds
	return next, o
}

func requireOnce(t *testing.T, spans []identified) {
	t.Helper()
	seen := map[pcommon.SpanID]identified{}
	for _, span := range spans {
		before, twice := seen[span.span]
		require.False(t, twice, "%v and %v", before, span)
		seen[span.span] = span
	}
}

func of(clusterBefore, cluster string, o keyspace.Observation) keyspace.Observation {
	o.Another, o.Former, o.Cluster = true, clusterBefore, cluster
	return o
}

func TestAnAttemptThatABackupBringsBackIsAnother(t *testing.T) {
	course := func(c *collector) {
		c.observe(cluster, list(1))
		c.observe(cluster, watched(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0)))
		c.observe(cluster, watched(deleted("/locks/deploy/a", 4)))
		c.observe(cluster, list(3, lockKey(0xa, 2), lockKey(0xb, 3))) // the backup
	}
	c, second := newCollector(), newCollector()
	course(c)
	course(second)
	next, list := c.again(t, list(3, lockKey(0xa, 2), lockKey(0xb, 3)))
	for _, c := range []*collector{next, second} {
		if c == next {
			c.observe(cluster, list)
		}
		c.observe(cluster, watched(deleted("/locks/deploy/a", 5), deleted("/locks/deploy/b", 5)))
		requireOnce(t, c.spans)
		starts, ends := c.named("etcd.lock.attempt.start"), c.named("etcd.lock.attempt")
		require.Len(t, starts, 3)
		require.Len(t, ends, 3)
		assert.Equal(t, []pcommon.TraceID{starts[0].trace, starts[2].trace, starts[1].trace}, []pcommon.TraceID{ends[0].trace, ends[1].trace, ends[2].trace},
			"the one that was there all along is the same")
	}
	assert.Equal(t, second.spans, next.spans, "another collector makes the same ones")
}

func TestWhatBeganInAFormerClusterEndsThere(t *testing.T) {
	c := newCollector()
	c.observe(cluster, list(1))
	c.observe(cluster, watched(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0)))
	// Another cluster, made from a backup, in which b waits for nobody.
	c.observe(otherCluster, of(cluster, otherCluster, list(7, lockKey(0xb, 3))))
	c, restarted := c.again(t, list(7, lockKey(0xb, 3)))
	c.observe(otherCluster, restarted)
	c.observe(otherCluster, watched(put(lockKey(0xc, 8), 0), deleted("/locks/deploy/b", 9)))
	c.observe(otherCluster, watched(deleted("/locks/deploy/c", 10)))
	starts, ends, holds := c.named("etcd.lock.attempt.start"), c.named("etcd.lock.attempt"), c.named("etcd.lock.hold")
	require.Len(t, starts, 3)
	require.Len(t, ends, 3)
	for i, of := range []string{cluster, cluster, otherCluster} {
		assert.Equal(t, starts[i].trace, ends[i].trace)
		assert.Equal(t, of, starts[i].cluster)
		assert.Equal(t, of, ends[i].cluster)
		assert.Equal(t, of, holds[i].cluster)
	}
	assert.Equal(t, holds[0].span, ends[1].link)
	assert.Equal(t, holds[1].span, ends[2].link)
	requireOnce(t, c.spans)

	c.observe(otherCluster, watched(put(lockKey(0xd, 11), 0)))
	c.observe(cluster, of(otherCluster, cluster, list(3, lockKey(0xa, 2), lockKey(0xb, 3))))
	c.observe(cluster, watched(deleted("/locks/deploy/a", 4), deleted("/locks/deploy/b", 5)))
	ends = c.named("etcd.lock.attempt")
	require.Len(t, ends, 6)
	assert.Equal(t, []string{otherCluster, cluster, cluster}, []string{ends[3].cluster, ends[4].cluster, ends[5].cluster}, "the former one is there again")
	for _, span := range ends {
		assert.True(t, slices.ContainsFunc(c.named("etcd.lock.attempt.start"), func(start identified) bool {
			return start.trace == span.trace && start.cluster == span.cluster
		}))
	}
	requireOnce(t, c.spans)
}
