// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import "maps"

// History is what the IDs of spans depend on beside the attempts: one that comes back
// with a backup, or with a former cluster, is another one than that which has ended.
type History struct {
	Restores uint64            `json:",omitzero"`  // how often the cluster went back to a backup
	Left     map[string]uint64 `json:",omitempty"` // the next number of restores, of former clusters
}

// History returns what is to survive a restart.
func (q *Queues) History() History { return q.history }

// SetHistory goes on from what an earlier process saved.
func (q *Queues) SetHistory(saved History) { q.history = saved }

// Restored takes in that etcd went back to a backup: from now on, an attempt that comes
// back is another one.
func (q *Queues) Restored() { q.history.Restores++ }

// Moved takes in that etcd is another cluster than before. What began in the former one
// ends as a part of it.
func (q *Queues) Moved(former, cluster string) {
	left := map[string]uint64{}
	maps.Copy(left, q.history.Left)
	left[former] = q.history.Restores + 1
	q.history = History{left[cluster], left}
	for _, a := range q.attempts {
		a.of(former)
		if before := a.PreviousHolder; before != nil && before.Attempt != nil {
			attempt := *before.Attempt
			attempt.of(former)
			a.PreviousHolder = &Holder{before.Key, before.Created, &attempt}
		}
	}
}

func (a *Attempt) of(former string) {
	if a.Cluster == "" {
		a.Cluster = former
	}
}
