// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"testing"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

func TestMetricsOfALeader(t *testing.T) {
	collecttest.RequireMetrics(t, "metrics of a leader", func(m collect.Metrics) {
		RecordUp(m, true)
		RecordStatus(m, etcdapi.Status{
			ID: 1, LeaderID: 1, DBSize: 40960, DBSizeInUse: 24576, DBQuota: 81920,
			RaftTerm: 2, RaftIndex: 9, RaftAppliedIndex: 8, Revision: 5, Duration: 1500 * time.Microsecond,
		})
	})
}

func TestMetricsOfALearnerThatReportsNoQuota(t *testing.T) {
	collecttest.RequireMetrics(t, "metrics of a learner that tells no quota", func(m collect.Metrics) {
		RecordStatus(m, etcdapi.Status{ID: 2, LeaderID: 1, Learner: true, DBSize: 40960, RaftIndex: 8, RaftAppliedIndex: 9})
	})
}

func TestMetricsOfAMemberThatIsAbsent(t *testing.T) {
	collecttest.RequireMetrics(t, "metrics of a member that is absent", func(m collect.Metrics) { RecordUp(m, false) })
}
