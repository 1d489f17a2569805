// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package vaultreceiver observes one Vault server: its state, its leases and its
// raft cluster as metrics, what happened to them as events, and the times in which
// it was sealed or its cluster had no leader as traces.
package vaultreceiver
