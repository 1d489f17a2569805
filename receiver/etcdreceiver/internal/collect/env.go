// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package collect holds what the kinds of observed things share: the client, the
// identity of the cluster, the storage, the receiver's telemetry about itself, and
// what renders telemetry.
package collect

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// StorageOf begins the name of the condition of what is stored.
const StorageOf = "storage of "

// Env is what the collectors of a receiver share.
type Env struct {
	Settings  receiver.Settings
	Events    metadata.LogsBuilderConfig
	Condition *condition.Reporter
	Delivery  *watch.Delivery
	Telemetry *Telemetry

	// Interval is the time between two collections of metrics.
	Interval time.Duration

	// Store and API, which reads from whichever member answers, are there once the
	// receiver runs.
	Store *checkpoint.Store
	API   *etcdapi.Client

	// Applied is what the clients know of raft.
	Applied etcdapi.Applied

	// ClusterID is the ID of the cluster, as keys and leases have it; 0 until it is known.
	ClusterID atomic.Uint64
}

// Slot returns a place in the storage, under a key. name is what its condition calls it.
func Slot[T any](e *Env, key, name string) checkpoint.Slot[T] {
	return checkpoint.Slot[T]{Store: e.Store, Key: key, Report: func(err error) { e.Condition.Set(StorageOf+name, err) }}
}
