// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"strings"
)

// Status of a check, as Consul spells it.
type Status string

// The statuses that a check can have, and None for a check that is not there.
const (
	Passing  Status = "passing"
	Warning  Status = "warning"
	Critical Status = "critical"
	None     Status = "none"

	// Maintenance is the health of what is in maintenance, and Unknown that of a check
	// with another status, and of an instance of which nothing is known.
	Maintenance Status = "maintenance"
	Unknown     Status = "unknown"
)

// Severity orders statuses: 0 passing, 1 warning, 2 critical. Consul accepts any other
// status, too, and takes it for not passing.
func (s Status) Severity() int {
	switch s {
	case Critical:
		return 2
	case Passing, None, "": // The last is none yet.
		return 0
	default:
		return 1
	}
}

func worse(a, b Status) Status {
	if b.Severity() > a.Severity() {
		return b
	}
	return a
}

// CheckID identifies a check within a datacenter.
type CheckID struct{ Node, Check string }

// NewCheckID returns the ID of a check. Consul does not distinguish names that differ
// in case only.
func NewCheckID(node, check string) CheckID {
	return CheckID{Node: strings.ToLower(node), Check: strings.ToLower(check)}
}

// Compare orders IDs by node, then by check.
func (id CheckID) Compare(other CheckID) int {
	return cmp.Or(cmp.Compare(id.Node, other.Node), cmp.Compare(id.Check, other.Check))
}

// Check is what is known of one check.
type Check struct {
	Node, ID  string // as they are shown; empty: as in the CheckID
	Name      string
	Service   string // empty for a check of the node
	ServiceID string
	Status    Status
	Created   uint64 // CreateIndex
	Index     uint64 // ModifyIndex
	Output    string // truncated, and empty unless requested
	Reason    string // of a maintenance
}

// Checks is a snapshot of all checks.
type Checks = map[CheckID]Check

// The IDs of the checks by which Consul's agents put a node, or an instance, into
// maintenance.
const (
	nodeMaintenance    = "_node_maintenance"
	serviceMaintenance = "_service_maintenance:"
)

// isMaintenance says whether a check stands for a maintenance.
func isMaintenance(id CheckID) bool {
	return id.Check == nodeMaintenance || strings.HasPrefix(id.Check, serviceMaintenance)
}
