// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Jaeger is one Jaeger v2 with memory storage: a restart forgets all traces.
type Jaeger struct {
	*Server
	// QueryURL is the URL of the query HTTP API, such as "http://127.0.0.1:12001".
	QueryURL string
	// OTLPGRPC and OTLPHTTP are host:port of the OTLP receivers.
	OTLPGRPC, OTLPHTTP string
}

// StartJaeger starts Jaeger, and waits until its pipelines run and its query
// API answers.
func StartJaeger(ctx context.Context, opts ServerOptions) (*Jaeger, error) {
	j := &Jaeger{}
	server, err := startServer(ctx, "jaeger", 5, opts, func(home string, ports []int) (launch, error) {
		j.QueryURL = "http://" + loopback(ports[0])
		j.OTLPGRPC, j.OTLPHTTP = loopback(ports[2]), loopback(ports[3])
		file := filepath.Join(home, "jaeger.yaml")
		ready := func(ctx context.Context) error {
			if err := answersOK("http://" + loopback(ports[4]) + "/status")(ctx); err != nil {
				return err
			}
			return answersOK(j.QueryURL + "/api/services")(ctx)
		}
		return launch{args: []string{"--config=" + file}, ready: ready},
			os.WriteFile(file, []byte(jaegerConfig(ports)), 0o600)
	})
	if err != nil {
		return nil, err
	}
	j.Server = server
	return j, nil
}

func jaegerConfig(ports []int) string {
	return fmt.Sprintf(`
extensions:
  jaeger_storage:
    backends:
      memory: {memory: {max_traces: 100000}}
  jaeger_query:
    storage: {traces: memory}
    enable_tracing: false # it would send its own traces to localhost:4317
    http: {endpoint: "%s"}
    grpc: {endpoint: "%s"}
  healthcheckv2:
    use_v2: true
    http: {endpoint: "%[5]s"}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "%[3]s"}
      http: {endpoint: "%[4]s"}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  telemetry:
    metrics: {level: none}
    logs: {level: warn}
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
`, loopback(ports[0]), loopback(ports[1]), loopback(ports[2]), loopback(ports[3]), loopback(ports[4]))
}
