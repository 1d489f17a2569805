// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package session

// Session is a session, known by its ID.
type Session struct {
	Name     string
	Node     string
	Behavior string // what becomes of its locks at its end: "release" or "delete"
	TTL      string // empty: it ends with its checks only
	Index    uint64 // at which it was created
}
