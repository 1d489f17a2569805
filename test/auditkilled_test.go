// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Vault is asked while the collector is killed and started again. In the end each
// request that Vault wrote to its file is one span, whole and with one ID; and what
// was sent to the socket is one, too, or of a time of which it was said that
// it may be lost.
func TestRequestsWhileTheCollectorIsKilled(t *testing.T) {
	vault, collector, dir := startBothWays(t)
	enabled := time.Now()

	_, ended := vault.ask(t)
	time.Sleep(8 * time.Second)
	ended()
	arrived(t, vault, dir, "kv/before")
	written := wholeRequests(t, vault.file).after(enabled)
	for _, way := range ways {
		ids, _, _ := requestSpans(t, filepath.Join(dir, way))
		requireSpans(t, written, ids)
	}
	require.Empty(t, auditGaps(t, dir))

	_, ended = vault.ask(t)
	var killed []time.Time
	for range kills {
		time.Sleep(3500 * time.Millisecond) // Let it read some.
		killed = append(killed, time.Now())
		require.NoError(t, collector.Kill())
		time.Sleep(500 * time.Millisecond) // Let it miss some.
		require.NoError(t, collector.Restart(t.Context()))
	}
	told := len(readFile(dir, "socket.jsonl"))
	require.Eventually(t, func() bool { return len(readFile(dir, "socket.jsonl")) > told }, soon, 100*time.Millisecond, "Vault has dialed again")
	ended()
	arrived(t, vault, dir, "kv/after")
	require.NoError(t, collector.Stop(t.Context()))

	written = wholeRequests(t, vault.file)
	ids, spans, halves := requestSpans(t, filepath.Join(dir, "file.jsonl"))
	requireSpans(t, written, ids)
	assert.Zero(t, halves, "what was half read when the collector was killed")
	t.Logf("file: %d requests, %d spans", len(written), spans)

	gaps := auditGaps(t, dir)
	for _, at := range killed {
		assert.True(t, gaps.have(times{at, at}), "the kill of %s is in none of %s", at, gaps)
	}
	ids, spans, halves = requestSpans(t, filepath.Join(dir, "socket.jsonl"))
	lost := written.after(enabled).without(ids)
	assert.NotEmpty(t, lost, "nothing was lost, so nothing is shown")
	assert.Zero(t, unsaid(t, lost, gaps), "requests that are lost and were not said to be")
	doubtful := 0
	for _, x := range written {
		if gaps.have(x) {
			doubtful++
		}
	}
	t.Logf("socket: %d spans, %d of them halves; %d requests lost, of %d in %d gaps: %s", spans, halves, len(lost), doubtful, len(gaps), gaps)
}
