// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package consulreceiver observes Consul: its health checks as metrics, their
// transitions as events, and their outages as traces.
package consulreceiver
