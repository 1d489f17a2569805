// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package ca observes the certificate authority of the service mesh.
package ca

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is watched.
const Endpoint = consulapi.EndpointRoots

// active is the key of the active root certificate.
const active = "active"

// Kind returns what observes the active root certificate.
func Kind(cfg collect.SwitchConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return collector{collect.NewObjects(e, Endpoint, collect.Limit{Max: 1}, Read, Render)}
	}}
}

type collector struct{ *collect.Objects[Root] }

// Record implements collect.Collector.
func (c collector) Record(_ context.Context, m collect.Metrics) {
	roots, up := c.Known()
	if root, ok := roots[active]; ok && up && m.Answers {
		RecordRoot(m, root)
	}
}

type rootEntry struct {
	ID       string `answer:"required"`
	Active   bool
	NotAfter *time.Time
	RootCert string
}

// Read reads the active root certificate.
func Read(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Root], error) {
	roots, meta, err := consulapi.GetIndexed[struct {
		Roots []rootEntry `answer:"required"`
	}](ctx, c, Endpoint, q)
	if consulapi.ConnectOff(err) {
		return collect.Result[string, Root]{Off: true}, nil // There is none, and that is no failure.
	}
	result := collect.Result[string, Root]{Meta: meta}
	if err != nil {
		return result, err
	}
	for _, r := range roots.Roots {
		if !r.Active {
			continue
		}
		root := Root{ID: r.ID}
		if root.NotAfter, err = expiry(r); err != nil {
			return result, fmt.Errorf("%s: root certificate %s: %w", Endpoint, r.ID, err)
		}
		result.Objects = map[string]Root{active: root}
		break
	}
	return result, nil
}

// expiry returns when a root certificate expires. Older Consuls do not say it.
func expiry(root rootEntry) (time.Time, error) {
	if root.NotAfter != nil {
		return *root.NotAfter, nil
	}
	block, _ := pem.Decode([]byte(root.RootCert))
	if block == nil {
		return time.Time{}, errors.New("it is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("it cannot be parsed: %w", err)
	}
	return certificate.NotAfter, nil
}
