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
	"strings"
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
	ID                     string `answer:"required"`
	Active                 bool
	NotAfter               *time.Time
	RootCert, SigningKeyID string
	IntermediateCerts      consulapi.Nullable[string]
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
		root.SigningNotAfter = signingExpiry(r)
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
	certificate, err := parse(root.RootCert)
	if err != nil {
		return time.Time{}, err
	}
	return certificate.NotAfter, nil
}

// signingExpiry returns when the certificate expires that has the signing key, or zero.
// After a rotation the new root is also among the intermediate ones, signed by the old.
func signingExpiry(root rootEntry) time.Time {
	for _, text := range append([]string{root.RootCert}, root.IntermediateCerts...) {
		certificate, err := parse(text)
		if err == nil && strings.EqualFold(connectID(certificate.SubjectKeyId), root.SigningKeyID) {
			return certificate.NotAfter
		}
	}
	return time.Time{}
}

// connectID writes an ID as Consul does: in hexadecimal, with colons.
func connectID(id []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", id), " ", ":")
}

func parse(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it cannot be parsed: %w", err)
	}
	return certificate, nil
}
