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
		return &collector{Env: e, service: service}
	}}
}

type collector struct {
	*collect.Env
	service     string
	certificate Certificate
	read        time.Time
}

// Run implements collect.Collector: nothing is watched.
func (c *collector) Run(context.Context) {}

// Record implements collect.Collector.
func (c *collector) Record(ctx context.Context, m collect.Metrics) {
	if !m.Answers {
		c.SkipEndpoints(Endpoint + c.service)
		return
	}
	if Due(m.Now, c.read) {
		certificate, err := Read(ctx, c.API, c.service)
		c.SetEndpoint(Endpoint+c.service, err)
		if err != nil {
			c.read = time.Time{}
			return
		}
		c.certificate, c.read = certificate, m.Now
	}
	RecordCertificate(m, c.service, c.certificate)
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
