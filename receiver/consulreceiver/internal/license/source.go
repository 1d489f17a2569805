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

// Endpoint is the part of the API that is polled.
const Endpoint = "operator/license"

// Kind returns what observes the licence.
func Kind(cfg collect.SwitchConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		read := func(ctx context.Context) (License, error) { return Read(ctx, e.API) }
		return collector{collect.NewValue(e, Endpoint, Interval, read)}
	}}
}

type collector struct{ *collect.Value[License] }

// Record implements collect.Collector.
func (c collector) Record(_ context.Context, m collect.Metrics) {
	if license, up := c.Known(); up && m.Answers {
		RecordLicense(m, license)
	}
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
