// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../tools/go.mod mdatagen metadata.yaml

// Package watch runs the one pattern that every receiver here follows:
//
//	observe → step → queue → deliver → commit
//
// Observing is the only input. Stepping is pure: it gets the time as an
// argument and returns telemetry, which carries the time of the observation.
// Observing never waits for delivering: the logs and the traces of each loop
// have a bounded queue of their own, so that a consumer that refuses one signal
// holds up neither the other nor what metrics are made of. What must survive a
// restart is committed when all signals have accepted everything, or for each signal that
// has, where it can go on with a state of its own.
package watch
