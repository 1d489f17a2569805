// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package leaf observes whether Consul issues leaf certificates of the service mesh.
package leaf

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is read, followed by the name of the service.
// The agent keeps the certificate, and renews it before it expires.
const Endpoint = "agent/connect/ca/leaf/"

// Kind returns what observes the certificate of a service.
func Kind(service string) collect.Kind {
	return collect.Kind{Enabled: true, Scope: collect.Agent, New: func(e *collect.Env) collect.Collector {
		read := func(ctx context.Context) (Certificate, error) { return Read(ctx, e.API, service) }
		return collector{collect.NewValue(e, Endpoint+service, Interval, read), service}
	}}
}

type collector struct {
	*collect.Value[Certificate]
	service string
}

// Record implements collect.Collector.
func (c collector) Record(_ context.Context, m collect.Metrics) {
	if certificate, up := c.Known(); up && m.Answers {
		RecordCertificate(m, c.service, certificate)
	}
}

// Read requests the certificate of a service. The answer has its private key, too,
// which is not decoded.
func Read(ctx context.Context, c *consulapi.Client, service string) (Certificate, error) {
	reply, _, err := consulapi.GetLocal[struct {
		ValidBefore *time.Time `answer:"required"`
	}](ctx, c, Endpoint+service, consulapi.Query{})
	if err != nil {
		return Certificate{}, err
	}
	return Certificate{Expires: *reply.ValidBefore}, nil
}
