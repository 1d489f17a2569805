// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// AuditDevice is an audit device that is enabled.
type AuditDevice struct{ Type string }

// AuditDevices are all that are enabled, by their paths.
type AuditDevices map[string]AuditDevice

// Compare returns what has changed, in the order of the paths. A device cannot
// be changed, but be disabled and another one be enabled at its path.
func (d AuditDevices) Compare(after AuditDevices) []diff.Change[string, AuditDevice] {
	return diff.Maps(d, after, cmp.Compare[string])
}
