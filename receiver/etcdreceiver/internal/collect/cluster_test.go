// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// part renders a line for each round that has members with its name as their version.
type part struct{ name string }

func (part) Poll(Requests)  {}
func (part) Record(Metrics) {}

func (p part) Step(_ time.Time, round Round) func(*Renderer) {
	var changed bool
	for _, m := range round.Members {
		changed = changed || m.Version == p.name || m.Version == "all"
	}
	if !changed {
		return nil
	}
	line := fmt.Sprintf("%s of %d, gap %t", p.name, len(round.Members), round.Gap)
	return func(r *Renderer) {
		r.Event(plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) { b.RecordEtcdCompactionEvent(context.Background(), r.Now, 1) })
	}
}

// states notes which clusters it began with.
type states struct{ begun []string }

func (s *states) Begin(cluster uint64, saved string) {
	s.begun = append(s.begun, fmt.Sprintf("%x %s", cluster, saved))
}

func (*states) Save(cluster uint64) string { return fmt.Sprintf("state of %x", cluster) }

func newTestCluster(s *states) *Cluster[string] {
	e := &Env{
		Settings: receivertest.NewNopSettings(metadata.Type), Events: metadata.DefaultLogsBuilderConfig(),
		Condition: condition.NewReporter(zap.NewNop()),
	}
	return NewCluster(e, nil, s, part{"b"}, part{"a"})
}

// lines steps a cluster and returns the lines of the events.
func lines(c *Cluster[string], gap bool, members ...etcdapi.Status) (lines []string) {
	rendered := c.step(time.Unix(1, 0), round{members: members, gap: gap})
	for _, rl := range rendered.Logs.ResourceLogs().All() {
		for _, record := range rl.ScopeLogs().At(0).LogRecords().All() {
			lines = append(lines, record.Body().Str())
		}
	}
	return lines
}

func TestEventsAreInTheOrderOfTheParts(t *testing.T) {
	c := newTestCluster(&states{})
	assert.Empty(t, lines(c, false, etcdapi.Status{Cluster: 1}))
	assert.Equal(t, []string{"b of 1, gap false", "a of 1, gap false"}, lines(c, false, etcdapi.Status{Cluster: 1, Version: "all"}))
	assert.Equal(t, []string{"a of 2, gap true"}, lines(c, true, etcdapi.Status{Cluster: 1, Version: "a"}, etcdapi.Status{Cluster: 1}))
}

func TestAClusterIsFollowedAsLongAsAMemberOfItAnswers(t *testing.T) {
	one, other := etcdapi.Status{Cluster: 0xc, Version: "a"}, etcdapi.Status{Cluster: 0xd, Version: "b"}
	var s states
	c := newTestCluster(&s)
	c.saved = "of before"
	assert.Equal(t, []string{"a of 1, gap false"}, lines(c, false, one, other))
	assert.Equal(t, []string{"a of 1, gap false"}, lines(c, false, other, one))
	assert.Equal(t, []string{"b of 1, gap false"}, lines(c, false, other))
	assert.Equal(t, []string{"b of 1, gap false"}, lines(c, false, one, other))
	assert.Equal(t, []string{"c of before", "d "}, s.begun, "what was saved counts once")
	require.NoError(t, sameCluster([]etcdapi.Status{one, one}))
	require.ErrorIs(t, sameCluster([]etcdapi.Status{one, other}), ErrMixed)
}
