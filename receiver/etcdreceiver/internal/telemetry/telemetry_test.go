// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

const cluster = "cdf818194e3a8c32"

func lockKey(lease, created int64) state.Key {
	return state.Key{Name: fmt.Sprintf("/locks/deploy/%x", lease), Created: created, Modified: created, Version: 1, Lease: lease}
}

func put(k state.Key, size int) state.Change {
	k.Size = size
	return state.Change{Key: k}
}

func deleted(name string, revision int64) state.Change {
	return state.Change{Key: state.Key{Name: name, Modified: revision}, Deleted: true}
}

func list(revision int64, keys ...state.Key) state.Observation {
	return state.Observation{Prefix: "/", Revision: revision, Listed: true, Keys: keys}
}

func saw(changes ...state.Change) state.Observation {
	return state.Observation{Prefix: "/", Changes: changes}
}

func clusterResource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("etcd")
	rb.SetEtcdClusterID(cluster)
	return rb.Emit()
}

// tell renders a course of observations, one every ten seconds.
func tell(config metadata.LogsBuilderConfig, observations ...state.Observation) (ptrace.Traces, plog.Logs) {
	const follow = false
	story := NewStory(config, receivertest.NewNopSettings(metadata.Type))
	machine := state.NewMachine(state.Prefixes{Watch: []string{"/app/"}, Locks: []string{"/locks/"}, Elections: []string{"/elections/"}}, state.Limits{Keys: 100, Leases: 100}, follow)
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	for i, o := range observations {
		now := time.Unix(1_000_000, 0).Add(time.Duration(i) * 10 * time.Second)
		told := story.Render(now, cluster, clusterResource(), machine.Step(now, o))
		told.Traces.ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
		told.Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return traces, logs
}

func TestALockThatTwoContendFor(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(1),
		saw(put(lockKey(0xb, 2), 0)),
		saw(put(lockKey(0xa, 3), 0), put(lockKey(0xc, 4), 0)),
		saw(deleted("/locks/deploy/c", 5)),
		saw(deleted("/locks/deploy/b", 6)),
		saw(deleted("/locks/deploy/a", 7)),
	)
	goldentest.Traces(t, "one holds a lock, one waits for it, one gives up", traces)
	goldentest.Logs(t, "one holds a lock, one waits for it, one gives up", logs)
}

func TestALockThatWasHeldBefore(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(3, lockKey(0xa, 3), lockKey(0xb, 2)),
		saw(deleted("/locks/deploy/b", 4)),
		saw(deleted("/locks/deploy/a", 5)),
	)
	goldentest.Traces(t, "a lock that was held before is told at its end", traces)
	goldentest.Logs(t, "a lock that was held before is told at its end", logs)
}

func TestKeysThatChange(t *testing.T) {
	_, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(1),
		saw(
			put(state.Key{Name: "/app/b", Created: 2, Modified: 2, Version: 1}, 5),
			deleted("/app/b", 3),
			put(state.Key{Name: "/app/a", Created: 4, Modified: 4, Version: 1, Lease: 0x7587}, 0),
			put(state.Key{Name: "/app/a", Created: 4, Modified: 5, Version: 2, Lease: 0x7587}, 1024),
			put(state.Key{Name: "/other", Created: 6, Modified: 6, Version: 1}, 5),
			put(state.Key{Name: "/app/\xff", Created: 7, Modified: 7, Version: 1}, 5),
		),
	)
	goldentest.Logs(t, "keys are created, changed and deleted", logs)
}

func TestAGap(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		list(1),
		saw(put(lockKey(0xa, 2), 0), put(lockKey(0xb, 3), 0), put(state.Key{Name: "/app/a", Created: 4, Modified: 4, Version: 1}, 5)),
		list(90, state.Key{Name: "/app/b", Created: 80, Modified: 81, Version: 2}, lockKey(0xb, 3)),
	)
	goldentest.Traces(t, "a gap hides a release and two changes", traces)
	goldentest.Logs(t, "a gap hides a release and two changes", logs)
}

func TestADisabledEventLeavesTheSpans(t *testing.T) {
	config := metadata.DefaultLogsBuilderConfig()
	config.Events.EtcdLockQueued.Enabled = false
	config.Events.EtcdLockAcquired.Enabled = false
	traces, logs := tell(config, list(1), saw(put(lockKey(0xa, 2), 0)))
	require.Equal(t, 2, traces.SpanCount())
	require.Zero(t, logs.LogRecordCount())
}

func TestEverySpanIsToldOnceAndHasItsOwnID(t *testing.T) {
	traces, _ := tell(metadata.DefaultLogsBuilderConfig(), list(1), saw(put(lockKey(0xa, 2), 0)), saw(deleted("/locks/deploy/a", 3)))
	seen := map[pcommon.SpanID]string{}
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			assert.Empty(t, seen[span.SpanID()])
			seen[span.SpanID()] = span.Name()
		}
	}
	assert.Len(t, seen, 4)
}
