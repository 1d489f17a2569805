// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../tools/go.mod mdatagen metadata.yaml

// Package watch runs the one pattern that every receiver here follows:
//
//	observe → step → deliver → commit
//
// Observing is the only input. Stepping is pure: it gets the time as an
// argument and returns telemetry. Delivering holds a batch until the next
// consumer has accepted it or has refused it for good, and only then does the
// loop observe further, so that what was observed is not forgotten before it
// is told.
package watch
