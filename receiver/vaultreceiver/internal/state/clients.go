// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

// Clients is how many clients of each type there were in the current month so far.
type Clients struct {
	Counted                               bool // else Vault does not count them
	ACME, Entity, NonEntity, SecretSynced int64
}
