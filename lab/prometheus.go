// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Prometheus is one Prometheus that stores exemplars and takes remote writes.
// It scrapes nothing until [Prometheus.Scrape].
type Prometheus struct {
	*Server
	// URL is that of the UI and API, such as "http://127.0.0.1:12001".
	URL string

	targets string // the file it reads its targets from
}

// honor_labels keeps the job and instance that a collector exports. Exemplars
// come with OpenMetrics only.
const prometheusConfig = `
global:
  scrape_interval: %[2]s
  scrape_timeout: %[2]s
  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText0.0.4]
scrape_configs:
  - job_name: lab
    honor_labels: true
    file_sd_configs:
      - files: [%[1]q]
        refresh_interval: 1s
`

// StartPrometheus starts Prometheus, and waits until it is ready.
func StartPrometheus(ctx context.Context, opts ServerOptions) (*Prometheus, error) {
	p := &Prometheus{}
	server, err := startServer(ctx, "prometheus", 1, opts, func(home string, ports []int) (launch, error) {
		p.URL = "http://" + loopback(ports[0])
		p.targets = filepath.Join(home, "targets.json")
		file := filepath.Join(home, "prometheus.yaml")
		if err := p.Scrape(); err != nil {
			return launch{}, err
		}
		args := []string{
			"--config.file=" + file,
			"--web.listen-address=" + loopback(ports[0]),
			"--storage.tsdb.path=" + filepath.Join(home, "data"),
			"--enable-feature=exemplar-storage",
			"--web.enable-remote-write-receiver",
			"--log.level=warn",
		}
		config := fmt.Sprintf(prometheusConfig, p.targets, cmp.Or(opts.ScrapeInterval, time.Second))
		return launch{args: args, ready: answersOK(p.URL + "/-/ready")}, os.WriteFile(file, []byte(config), 0o600)
	})
	if err != nil {
		return nil, err
	}
	p.Server = server
	return p, nil
}

// Scrape replaces the targets by these addresses (host:port, path /metrics).
// Prometheus takes up to some 5 seconds to take note.
func (p *Prometheus) Scrape(addrs ...string) error {
	type group struct {
		Targets []string `json:"targets"`
	}
	groups := []group{}
	if len(addrs) > 0 {
		groups = append(groups, group{Targets: addrs})
	}
	content, err := json.Marshal(groups)
	if err != nil {
		return fmt.Errorf("encode prometheus targets: %w", err)
	}
	// In one step, as Prometheus may read at any time.
	if err := os.WriteFile(p.targets+".new", content, 0o600); err != nil {
		return fmt.Errorf("write prometheus targets: %w", err)
	}
	if err := os.Rename(p.targets+".new", p.targets); err != nil {
		return fmt.Errorf("write prometheus targets: %w", err)
	}
	return nil
}
