// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package etcdreceiver observes etcd: its members as metrics, changes of its
// keys as events, and the waits for its locks as traces.
package etcdreceiver
