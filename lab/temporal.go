// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"path/filepath"
	"strconv"
)

// Temporal is one Temporal server with its web UI, and the namespace "default". Its
// state is in a file, so that a restart keeps the workflows.
type Temporal struct {
	*Server
	// Addr is host:port of the frontend, gRPC.
	Addr string
	// HTTP is the URL of the frontend's HTTP API.
	HTTP string
	// UI is the URL of the web UI.
	UI string
	// Metrics is host:port of the server's metrics for Prometheus, path /metrics.
	Metrics string
}

// StartTemporal starts Temporal's server for development, and waits until it
// answers for its default namespace.
//
// It emits the traces of its own requests when [ServerOptions].Env has
// OTEL_TRACES_EXPORTER=otlp and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTLP over gRPC.
func StartTemporal(ctx context.Context, opts ServerOptions) (*Temporal, error) {
	t := &Temporal{}
	server, err := startServer(ctx, "temporal", 4, opts, func(home string, ports []int) (launch, error) {
		t.Addr, t.HTTP = loopback(ports[0]), "http://"+loopback(ports[1])
		t.UI, t.Metrics = "http://"+loopback(ports[2]), loopback(ports[3])
		args := []string{"server", "start-dev", "--ip=127.0.0.1", "--log-level=warn", "--color=never"}
		for i, flag := range []string{"--port", "--http-port", "--ui-port", "--metrics-port"} {
			args = append(args, flag+"="+strconv.Itoa(ports[i]))
		}
		// Without fsync, which on a busy disk takes longer than all else, a kill still loses nothing.
		args = append(args, "--db-filename="+filepath.Join(home, "temporal.db"), "--sqlite-pragma=synchronous=0")
		ready := func(ctx context.Context) error {
			for _, url := range []string{t.HTTP + "/api/v1/namespaces/default", t.HTTP + "/api/v1/namespaces/default/workflows", t.UI + "/"} {
				if err := answersOK(url)(ctx); err != nil {
					return err
				}
			}
			return nil
		}
		// The command reads settings from the home folder.
		return launch{args: args, env: []string{"HOME=" + home}, ready: ready}, nil
	})
	if err != nil {
		return nil, err
	}
	t.Server = server
	return t, nil
}
