// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package consulreceiver observes Consul: what it is as metrics, what happens
// in it as events, and what lasts in it, such as the incident of a service, the
// hold of a lock or a time without a leader, as traces.
package consulreceiver
