// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package collect holds what the kinds of observed things share in one
// datacenter: the client, the identity, the state of endpoints, limits, the
// watches, and what renders telemetry.
package collect

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Collector observes one kind of thing in one datacenter, or at the agent.
type Collector interface {
	// Run observes until ctx ends. It makes events and spans.
	Run(ctx context.Context)

	// Record records what is known as metrics. It may read what cannot be watched.
	Record(ctx context.Context, m Metrics)
}

// Scope says where a kind is observed.
type Scope int

// The scopes.
const (
	Datacenter Scope = iota // in each datacenter that is observed
	Agent                   // at the agent, once
)

// Kind is one kind of thing that is observed.
type Kind struct {
	Enabled bool
	Scope   Scope
	New     func(*Env) Collector
}

// Env is what the collectors of one datacenter, or of the agent, share.
type Env struct {
	*Shared
	API  *consulapi.Client
	Name string // as configured; empty: the datacenter of the agent

	identity  identity
	endpoints endpoints
	epoch     epoch
}

// NewEnv returns the Env of a datacenter; an empty name stands for that of the
// agent.
func NewEnv(shared *Shared, client *consulapi.Client, name string) *Env {
	e := &Env{Shared: shared, API: client, Name: name}
	e.identity.name = name
	e.endpoints.init()
	e.epoch.begin()
	if shared.Telemetry != nil {
		shared.Telemetry.add(e)
	}
	return e
}

// label names a part of this datacenter in the receiver's condition.
func (e *Env) label(part string) string {
	if e.Name == "" {
		return part
	}
	return part + " of datacenter " + e.Name
}

// Resource identifies the Consul that is observed. Several datacenters that one
// agent reports on are several instances, or Prometheus would take them for one.
func (e *Env) Resource(rb *metadata.ResourceBuilder) pcommon.Resource {
	rb.SetServiceName("consul")
	rb.SetServiceInstanceID(e.instance())
	if datacenter := e.identity.datacenter(); datacenter != "" {
		rb.SetConsulDatacenter(datacenter)
	}
	return rb.Emit()
}

// instance names the API, and the datacenter unless it is that of the agent.
func (e *Env) instance() string {
	if e.Name == "" {
		return e.Address
	}
	return e.Address + "/" + e.Name
}

// Slot returns a place in the storage for the state of a part of this
// datacenter.
func Slot[T any](e *Env, parts ...string) checkpoint.Slot[T] {
	key := strings.Join(append([]string{e.Name}, parts...), "/")
	return checkpoint.Slot[T]{
		Store: e.Store, Key: key,
		Report: func(err error) { e.Condition.Set(e.label("storage of "+key), err) },
	}
}
