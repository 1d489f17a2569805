// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

// Member is what a member of the cluster says of itself.
type Member struct {
	Cluster, ID      uint64
	Leader, Learner  bool
	DBSize           int64
	DBSizeInUse      int64
	RaftTerm         uint64
	RaftIndex        uint64
	RaftAppliedIndex uint64
	Revision         int64
}
