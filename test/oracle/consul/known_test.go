// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

// What the receiver does not do right yet is off here. Each is switched on when it does.
const (
	// signalsAgreeAfterKills: events and spans have the same IDs and times also after the
	// collector was killed while one of both was refused. Each signal is right by itself.
	signalsAgreeAfterKills = false
)
