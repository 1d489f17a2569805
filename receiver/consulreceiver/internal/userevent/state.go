// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package userevent

// UserEvent is a user event, known by its Lamport time and ID.
type UserEvent struct {
	ID   string
	Name string
	Size int // of the payload
}
