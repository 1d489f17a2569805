// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package license observes the licence of Consul Enterprise.
package license

import (
	"context"
	"net/http"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is read, at a collection and at most each Interval.
const Endpoint = "operator/license"

// Kind returns what observes the licence.
func Kind(cfg collect.SwitchConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return &collector{Env: e}
	}}
}

type collector struct {
	*collect.Env
	license License
	read    time.Time
}

// Run implements collect.Collector: nothing is watched.
func (c *collector) Run(context.Context) {}

// Record implements collect.Collector.
func (c *collector) Record(ctx context.Context, m collect.Metrics) {
	if !m.Answers {
		return
	}
	if Due(m.Now, c.read) {
		license, err := Read(ctx, c.API)
		c.SetEndpoint(Endpoint, err)
		if err != nil {
			return
		}
		c.license, c.read = license, m.Now
	}
	RecordLicense(m, c.license)
}

// Read reads the licence. The community edition has none, and answers 404.
func Read(ctx context.Context, c *consulapi.Client) (License, error) {
	reply, _, err := consulapi.Get[struct {
		License *struct {
			Expires *time.Time `json:"expiration_time" answer:"required"`
		} `answer:"required"`
	}](ctx, c, Endpoint, consulapi.Query{})
	if consulapi.StatusCode(err) == http.StatusNotFound {
		return License{}, nil
	}
	if err != nil {
		return License{}, err
	}
	return License{Expires: *reply.License.Expires}, nil
}
