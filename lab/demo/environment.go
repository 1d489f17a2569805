// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package demo shows the main job from end to end: real servers are observed
// by the real collector, a small workload runs on them, and what can be read
// of it in Jaeger, in Prometheus and in the events is put in a table.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/deploy"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
	"github.com/otelcol-infra/otelcol-infra/lab/workload"
)

// Interval is how often the collector polls in a scene.
const Interval = time.Second

// Options say what a scene is made of.
type Options struct {
	// Binary is the path of the collector's executable; empty: that of the checkout,
	// which Run builds. Config is the path of its configuration.
	Binary, Config string

	// Policy is the path of what the collector's token may do in Vault.
	Policy string

	// Progress is where builds and starts are reported and started; may be nil.
	Progress io.Writer
}

// Environment is a lab with a collector that observes it.
type Environment struct {
	*deploy.Collector

	Lab  *lab.Lab
	Shop *shop.Shop

	Jaeger     readback.Jaeger
	Prometheus readback.Prometheus

	// Page is the URL of the page over it, while [Run] keeps it up.
	Page string

	// Since is when the scene began: nothing in it is older.
	Since time.Time

	systems []System // that it shows
}

// Start starts the servers and then the collector. The caller ends the scene
// with Stop.
func Start(ctx context.Context, opts Options) (*Environment, error) {
	l, err := lab.Start(ctx, lab.Options{Progress: opts.Progress})
	if err != nil {
		return nil, err
	}
	s := &Environment{
		Lab:        l,
		Jaeger:     readback.Jaeger(l.Jaeger.QueryURL),
		Prometheus: readback.Prometheus(l.Prometheus.URL),
		Since:      time.Now(),
		systems:    Systems,
	}
	if err := s.startCollector(ctx, opts); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Environment) startCollector(ctx context.Context, opts Options) (err error) {
	if err := (&workload.Workload{Lab: s.Lab}).Prepare(ctx); err != nil {
		return err
	}
	s.Collector, err = deploy.Start(ctx, s.Lab, deploy.Options{
		Binary: opts.Binary, Configs: []string{opts.Config}, Policies: []string{opts.Policy}, Interval: Interval,
		Env: append(etcdPrefixes(),
			"VAULT_LEASES_MODE=prefixes",
			"VAULT_LEASE_PREFIXES="+workload.CertificateLeases+","+workload.LoginLeases,
			"VAULT_PKI_MOUNTS="+workload.PKIMount,
			"VAULT_LEASES_INTERVAL="+Interval.String(),
			"VAULT_PKI_INTERVAL="+Interval.String(),
			"CONSUL_KV_PREFIXES="+workload.ConsulPrefix,
		),
	})
	if err != nil {
		return err
	}
	if s.Shop, err = shop.Open(ctx, s.OTLP); err != nil {
		return err
	}
	if err := os.WriteFile(s.Targets, []byte(s.Shop.Targets()), 0o600); err != nil {
		return fmt.Errorf("write the collector's targets: %w", err)
	}
	return nil
}

func etcdPrefixes() []string {
	return []string{
		"ETCD_WATCH_PREFIXES=" + workload.KeyPrefix + "," + workload.LeasedPrefix,
		"ETCD_LOCK_PREFIXES=" + workload.LockPrefix,
		"ETCD_ELECTION_PREFIXES=" + workload.ElectionPrefix,
	}
}

// link is where a trace can be opened.
func (s *Environment) link(traceID string) string {
	if s.Page != "" {
		return s.Page + "/?trace=" + traceID
	}
	return s.Jaeger.TraceURL(traceID)
}

// Stop ends the shop and the collector, so that they deliver what they hold,
// and then the servers.
func (s *Environment) Stop() error {
	var err error
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if s.Shop != nil {
		err = s.Shop.Close(ctx)
	}
	if s.Collector != nil {
		err = errors.Join(err, s.Collector.Stop(ctx))
	}
	return errors.Join(err, s.Lab.Stop())
}

// AwaitBaseline waits until every receiver has looked at its server, as
// its own metrics say: only what happens later is reported as a change.
func (s *Environment) AwaitBaseline(ctx context.Context) error {
	// In etcd there is a watch for each of the four prefixes, in Vault a list for
	// each of the two.
	observed := `count(otelcol_etcd_requests{request="watch",outcome="success"} >= 4) and count(etcd_member_up == 1)`
	if s.Lab.Vault != nil {
		observed += ` and count(otelcol_watch_observations{receiver=~"consul|vault"} > 0) == 2 and count(consul_up == 1) and count(vault_up == 1)` +
			` and count(otelcol_vault_requests{request=~"sys/leases/lookup/.*",outcome="success"} >= 1) >= 2`
	}
	return until(ctx, "the first observation of every server", func() (bool, error) {
		series, err := s.Prometheus.Query(ctx, observed)
		return len(series) > 0, err
	})
}

// until asks twice a second until the answer is yes or ctx ends.
func until(ctx context.Context, what string, ask func() (bool, error)) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		yes, err := ask()
		if yes && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited in vain for %s", what), err)
		case <-ticker.C:
		}
	}
}
