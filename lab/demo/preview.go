// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/deploy"
	"github.com/otelcol-infra/otelcol-infra/lab/page"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/workload"
)

// notBuilt is where nobody answers.
const notBuilt = "http://127.0.0.1:0"

// previewPause is between two rounds of what happens in a preview.
const previewPause = 20 * time.Second

// The collector of a preview observes etcd only, and writes spans to a file.
const previewConfig = `
exporters:
  file/spans:
    path: %q
service:
  pipelines:
    traces: {receivers: [etcd], exporters: [file/spans]}
    metrics: {receivers: [etcd]}
    logs: {receivers: [etcd]}
`

// build builds what is missing. If that takes minutes and a preview is wanted, what is
// built first is shown meanwhile.
func build(ctx context.Context, opts *Options, out io.Writer, preview bool) error {
	names := lab.ServerNames()
	if opts.Binary == "" {
		names = append(names, lab.CollectorName)
	}
	builds, err := lab.FindMissing(ctx, opts.Progress, names...)
	if err != nil {
		return err
	}
	first := append(lab.FirstServers(), lab.CollectorName)
	others := slices.DeleteFunc(names, func(name string) bool { return slices.Contains(first, name) })
	if err := builds.Run(ctx, first...); err != nil {
		return err
	}
	if opts.Binary == "" {
		if opts.Binary, err = lab.Binary(ctx, lab.CollectorName, opts.Progress); err != nil {
			return err
		}
	}
	if !preview || !builds.Missing(others...) {
		return builds.Run(ctx)
	}
	showing, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- Preview(showing, *opts, out) }()
	err = builds.Run(ctx)
	end()
	if err == nil {
		fmt.Fprintln(out, "preview: it ends, as everything is built; the page of the whole demo has another address")
	}
	if shown := <-ended; shown != nil {
		fmt.Fprintf(out, "the preview failed, which the demo does not need: %v\n", shown)
	}
	return err
}

// Preview shows etcd alone, until ctx ends: it needs etcd, Prometheus and the collector.
func Preview(ctx context.Context, opts Options, out io.Writer) (err error) {
	s, err := startPreview(ctx, opts)
	if err == nil {
		defer func() { err = errors.Join(err, s.Stop()) }()
		err = s.preview(ctx, out)
	}
	if ctx.Err() != nil {
		return nil // It ended in the middle of something.
	}
	return err
}

func startPreview(ctx context.Context, opts Options) (*Environment, error) {
	l, err := lab.Start(ctx, lab.Options{Servers: lab.FirstServers()})
	if err != nil {
		return nil, err
	}
	s := &Environment{Lab: l, Prometheus: readback.Prometheus(l.Prometheus.URL), Since: time.Now(), systems: previewed()}
	config := filepath.Join(l.Dir, "preview.yaml")
	err = os.WriteFile(config, fmt.Appendf(nil, previewConfig, s.spansFile()), 0o600)
	if err == nil {
		s.Collector, err = deploy.Start(ctx, l, deploy.Options{
			Binary: opts.Binary, Configs: []string{opts.Config, config}, Interval: Interval, Env: etcdPrefixes(),
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the preview: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Environment) spansFile() string { return filepath.Join(s.Lab.Dir, "spans.jsonl") }

// previewed is what the workload leaves behind of etcd without Jaeger.
func previewed() []System {
	etcd := Systems[slices.IndexFunc(Systems, func(s System) bool { return s.Name == "etcd" })]
	etcd.Highlight = "etcd_lock_wait_duration_seconds, how long it was waited for the lock " + workload.Lock
	etcd.Spans, etcd.Links, etcd.Exemplars = nil, nil, nil
	return []System{etcd}
}

// preview plays what happens in etcd, prints what has arrived, and goes on playing.
func (s *Environment) preview(ctx context.Context, out io.Writer) (err error) {
	say := func(line string) { fmt.Fprintf(out, "preview: %s\n", line) }
	say("etcd, Prometheus and the collector are up, while the other servers are built")
	served, err := page.Start(ctx, page.Sources{Jaeger: notBuilt, Prometheus: string(s.Prometheus)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	say("open " + served.URL + " in a browser: it shows the metrics of etcd, and traces later, when Jaeger is built")
	if err := within(ctx, baselineMax, s.AwaitBaseline); err != nil {
		return s.explain(err)
	}
	acts := &workload.Workload{Lab: s.Lab, Pace: pace, Progress: say}
	if err := acts.RunEtcd(ctx); err != nil {
		return err
	}
	snapshot, err := s.arrived(ctx)
	if err != nil {
		return s.explain(err)
	}
	if err := snapshot.Print(out, s.link, s.Prometheus); err != nil {
		return err
	}
	fmt.Fprintf(out, `
Until the other servers are built, this repeats itself; the page shows it at %s. Try it by hand:
  take a lock    curl -d '{"name":"%s"}' %s/v3/lock/lock      (twice: the second waits, until its lease of a minute expires)
  its metrics    curl "%s/api/v1/query?query=etcd_lock_waiter_count"
  all events     tail -f %s
  all spans      tail -f %s      (Jaeger is not built yet)
`, served.URL, base64.StdEncoding.EncodeToString([]byte(workload.Lock)), s.Lab.Etcd.Endpoints[0], s.Prometheus, s.Events, s.spansFile())
	acts.Progress = func(string) {}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(previewPause):
		}
		if err := acts.RunEtcd(ctx); err != nil {
			return err
		}
	}
}
