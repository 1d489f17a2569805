// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package oracle compares what the built collector reports with what a real
// server says, while a seeded random workload runs and faults happen to both.
//
// This package holds what every system needs: the run and its seed, actors,
// fault windows, the sink for OTLP, timelines, and the checks of spans. A
// folder beside it holds one system: its workload, its faults and its
// comparisons.
package oracle
