// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package lab runs real Consul, etcd, Vault, Jaeger, Prometheus and Temporal
// servers, and the collector itself, as processes on loopback: for the demo, the
// black-box tests and the benchmarks. No container engine and no privileges are
// needed.
//
// Every port is chosen free at start, every file lies in one folder, and every
// process ends with the one that started it, on Linux also when that one is
// killed with SIGKILL. Servers are built from source once (see [Binary]), or
// taken from PATH or from a LAB_* variable.
package lab
