// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Member is what a member of the cluster says of itself.
type Member struct {
	Cluster, ID uint64
	LeaderID    uint64 // of the member that it follows; 0: none
	Version     string // of etcd
	Learner     bool

	DBSize, DBSizeInUse int64
	DBQuota             int64 // 0: not told

	RaftTerm         uint64 // of the last entry that it has applied
	RaftIndex        uint64
	RaftAppliedIndex uint64
	Revision         int64

	Errors   string        // what it complains of, other than having no leader; empty: nothing
	Duration time.Duration // that it took to answer
}

// Leads says whether the member is the leader.
func (m Member) Leads() bool { return m.LeaderID == m.ID }
