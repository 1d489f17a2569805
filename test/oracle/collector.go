// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// binary is the built collector, from a folder of a system.
const binary = "../../../distribution/_build/otelcol-infra"

// pipelines sends each signal to the sink without a queue in between: what the sink
// refuses, the receiver has to keep.
const pipelines = `
extensions:
  health_check:
    endpoint: %[1]s
  file_storage:
    directory: %[2]s
    create_directory: true
exporters:
  otlp_http:
    endpoint: %[3]s
    compression: none
    sending_queue: {enabled: false}
    retry_on_failure: {enabled: false}
service:
  telemetry:
    metrics: {level: none}
  extensions: [health_check, file_storage]
  pipelines:
    metrics: {receivers: [%[4]s], exporters: [otlp_http]}
    logs: {receivers: [%[4]s], exporters: [otlp_http]}
    traces: {receivers: [%[4]s], exporters: [otlp_http]}
`

// StartCollector starts the built collector with a receiver, configured in YAML, that
// may name the storage extension file_storage. It ends with the test.
func (r *Run) StartCollector(t *testing.T, sink *Sink, receiver, config string) *lab.Collector {
	t.Helper()
	path, err := filepath.Abs(binary)
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "build the collector first: make build")
	dir := t.TempDir()
	var collector *lab.Collector
	require.NoError(t, lab.OnFreePorts(t.Context(), 1, func(ports []int) (err error) {
		health := fmt.Sprintf("127.0.0.1:%d", ports[0])
		shared, own := filepath.Join(dir, "pipelines.yaml"), filepath.Join(dir, "receiver.yaml")
		text := fmt.Sprintf(pipelines, health, filepath.Join(dir, "state"), sink.URL, receiver)
		if err := os.WriteFile(shared, []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(own, []byte(config), 0o600); err != nil {
			return err
		}
		collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: path, Configs: []string{shared, own}, Dir: dir, ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- collector\n%s", collector.LogTail(60))
		}
		require.NoError(t, collector.Stop(context.Background()), "SIGTERM must end it")
	})
	return collector
}
