// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import "cmp"

// Status of a check, as Consul spells it.
type Status string

// The statuses that a check can have, and None for a check that is not there.
const (
	Passing  Status = "passing"
	Warning  Status = "warning"
	Critical Status = "critical"
	None     Status = "none"
)

// Badness orders statuses: 0 passing, 1 warning, 2 critical.
func (s Status) Badness() int {
	switch s {
	case Critical:
		return 2
	case Warning:
		return 1
	default:
		return 0
	}
}

func worse(a, b Status) Status {
	if b.Badness() > a.Badness() {
		return b
	}
	return a
}

// CheckID identifies a check within a datacenter.
type CheckID struct{ Node, Check string }

// Compare orders IDs by node, then by check.
func (id CheckID) Compare(other CheckID) int {
	return cmp.Or(cmp.Compare(id.Node, other.Node), cmp.Compare(id.Check, other.Check))
}

// Check is what is known of one check.
type Check struct {
	Name      string
	Service   string // empty for a check of the node
	ServiceID string
	Status    Status
	Index     uint64 // ModifyIndex
	Output    string // truncated, and empty unless asked for
}

// Checks is a snapshot of all checks.
type Checks = map[CheckID]Check

// CountByStatus returns the number of checks in each of the three statuses;
// a status that no check has counts zero.
func CountByStatus(checks Checks) map[Status]int64 {
	counts := map[Status]int64{Passing: 0, Warning: 0, Critical: 0}
	for _, check := range checks {
		counts[check.Status]++
	}
	return counts
}
