// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package demo shows the main job from end to end: real servers are observed
// by the real collector, a small story happens to them, and what can be read
// of it in Jaeger, in Prometheus and in the events is put in a table.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
	"github.com/otelcol-infra/otelcol-infra/lab/story"
)

// Interval is how often the collector polls in a scene.
const Interval = time.Second

// Options say what a scene is made of.
type Options struct {
	// Binary is the path of the collector's executable, Config that of its
	// configuration.
	Binary, Config string

	// Policy is the path of what the collector's token may do in Vault.
	Policy string

	// Progress is told what is being built and started; may be nil.
	Progress io.Writer
}

// Scene is a lab with a collector that observes it.
type Scene struct {
	Lab       *lab.Lab
	Collector *lab.Collector
	Shop      *shop.Shop

	Jaeger     readback.Jaeger
	Prometheus readback.Prometheus
	Events     readback.Events

	// Metrics and Applications are host:port of the collector's Prometheus exporters,
	// of the servers' metrics and of those of applications; Health is that of its
	// health check.
	Metrics, Applications, Health string

	// OTLP is the URL of its OTLP receiver over HTTP, and Audit host:port of its
	// socket for Vault's audit devices.
	OTLP, Audit string

	// Token is the collector's, in Vault.
	Token string

	// Page is the URL of the page over it, while [Run] keeps it up.
	Page string

	// Since is when the scene began: nothing in it is older.
	Since time.Time
}

// Start starts the servers and then the collector. The caller ends the scene
// with Stop.
func Start(ctx context.Context, opts Options) (*Scene, error) {
	l, err := lab.Start(ctx, lab.Options{Progress: opts.Progress})
	if err != nil {
		return nil, err
	}
	s := &Scene{
		Lab:        l,
		Jaeger:     readback.Jaeger(l.Jaeger.QueryURL),
		Prometheus: readback.Prometheus(l.Prometheus.URL),
		Events:     readback.Events(filepath.Join(l.Dir, "events.jsonl")),
		Since:      time.Now(),
	}
	if err := s.startCollector(ctx, opts); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Scene) startCollector(ctx context.Context, opts Options) error {
	told := &story.Story{Lab: s.Lab}
	if err := told.Prepare(ctx); err != nil {
		return err
	}
	policy, err := os.ReadFile(opts.Policy)
	if err != nil {
		return fmt.Errorf("read the policy of the collector's token: %w", err)
	}
	if s.Token, err = told.VaultToken(ctx, string(policy)); err != nil {
		return err
	}
	config, err := filepath.Abs(opts.Config)
	if err != nil {
		return fmt.Errorf("find the collector's configuration: %w", err)
	}
	return lab.OnFreePorts(ctx, 7, func(ports []int) error { return s.startOn(ctx, opts.Binary, config, ports) })
}

func (s *Scene) startOn(ctx context.Context, binary, config string, ports []int) (err error) {
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s.Metrics, s.Applications, s.Health, s.OTLP, s.Audit = at(0), at(6), at(1), "http://"+at(3), at(5)
	if s.Shop, err = shop.Open(ctx, s.OTLP); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Shop.Close(context.WithoutCancel(ctx)))
			s.Shop = nil
		}
	}()
	targets := filepath.Join(s.Lab.Dir, "targets.yaml")
	if err := os.WriteFile(targets, []byte(s.Shop.Targets()), 0o600); err != nil {
		return fmt.Errorf("write the collector's targets: %w", err)
	}
	s.Collector, err = lab.StartCollector(ctx, lab.CollectorOptions{
		Binary:   binary,
		Configs:  []string{config},
		Dir:      s.Lab.Dir,
		ReadyURL: "http://" + s.Health,
		Env: append(s.Lab.Env(),
			"VAULT_TOKEN="+s.Token,
			"VAULT_LEASES_MODE=prefixes",
			"VAULT_LEASE_PREFIXES="+story.CertificateLeases+","+story.LoginLeases,
			"VAULT_PKI_MOUNTS="+story.PKIMount,
			"VAULT_AUDIT_ENDPOINT="+s.Audit,
			"VAULT_LEASES_INTERVAL="+Interval.String(),
			"VAULT_PKI_INTERVAL="+Interval.String(),
			"COLLECTION_INTERVAL="+Interval.String(),
			"CONSUL_KV_PREFIXES="+story.ConsulPrefix,
			"ETCD_WATCH_PREFIXES="+story.KeyPrefix+","+story.LeasedPrefix,
			"ETCD_LOCK_PREFIXES="+story.LockPrefix,
			"ETCD_ELECTION_PREFIXES="+story.ElectionPrefix,
			"STATE_DIRECTORY="+filepath.Join(s.Lab.Dir, "state"),
			"EVENTS_FILE="+string(s.Events),
			"PROMETHEUS_EXPORTER_ENDPOINT="+s.Metrics,
			"APPLICATIONS_EXPORTER_ENDPOINT="+s.Applications,
			"HEALTH_CHECK_ENDPOINT="+s.Health,
			"SCRAPE_TARGETS_FILE="+targets,
			"OTLP_GRPC_ENDPOINT="+at(2),
			"OTLP_HTTP_ENDPOINT="+at(3),
			fmt.Sprintf("TELEMETRY_PORT=%d", ports[4]),
		),
	})
	if err != nil {
		return err
	}
	return s.Lab.Prometheus.Scrape(s.Metrics, s.Applications, at(4))
}

// Stop ends the shop and the collector, so that they deliver what they hold,
// and then the servers.
func (s *Scene) Stop() error {
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
// Prometheus tells: only what happens later is news to them.
func (s *Scene) AwaitBaseline(ctx context.Context) error {
	// In etcd there is a watch for each of the four prefixes, in Vault a list for
	// each of the two.
	const looked = `count(otelcol_watch_observations{receiver=~"consul|vault"} > 0) == 2 and count(otelcol_etcd_requests{request="watch",outcome="success"} >= 4) and count(consul_up == 1) and count(etcd_member_up == 1) and count(vault_up == 1)` +
		` and count(otelcol_vault_requests{request=~"sys/leases/lookup/.*",outcome="success"} >= 1) >= 2`
	return until(ctx, "the first observation of every server", func() (bool, error) {
		series, err := s.Prometheus.Query(ctx, looked)
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
