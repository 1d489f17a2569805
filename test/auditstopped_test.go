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

// The collector is stopped while Vault is asked, so that it takes nothing of what
// is sent to it. Vault goes on, with its devices as the guide says; and all is
// told when the collector goes on.
func TestVaultGoesOnWhileTheCollectorIsStopped(t *testing.T) {
	vault, collector, dir := startBothWays(t)
	enabled := time.Now()

	load, ended := vault.ask(t)
	defer ended()
	load.during(time.Second)
	before, slowestBefore := load.during(5 * time.Second)
	require.NoError(t, collector.Process().Suspend())
	stopped, slowestStopped := load.during(20 * time.Second)
	require.NoError(t, collector.Process().Resume())
	arrived(t, vault, dir, "kv/meanwhile")
	after, slowestAfter := load.during(5 * time.Second)
	ended()
	t.Logf("requests in a second, and the slowest: %.0f, %s; while it is stopped %.0f, %s; after that %.0f, %s",
		before, slowestBefore, stopped, slowestStopped, after, slowestAfter)
	// A Vault that waits for the collector does next to none, and one that shares the machine with others fewer.
	assert.Greater(t, stopped, min(before, after)/10, "requests in a second while the collector is stopped")

	arrived(t, vault, dir, "kv/after")
	require.NoError(t, collector.Stop(t.Context()))
	written := wholeRequests(t, vault.file)
	ids, spans, halves := requestSpans(t, filepath.Join(dir, "file.jsonl"))
	requireSpans(t, written, ids)
	assert.Zero(t, halves)
	t.Logf("file: %d requests, %d spans", len(written), spans)
	ids, spans, halves = requestSpans(t, filepath.Join(dir, "socket.jsonl"))
	lost, gaps := written.after(enabled).without(ids), auditGaps(t, dir)
	// What the kernel does with connections that Vault has given up is not certain.
	t.Logf("socket: %d spans, %d of them halves; %d requests lost, %d of them outside of %d gaps: %s",
		spans, halves, len(lost), unsaid(t, lost, gaps), len(gaps), gaps)
}
