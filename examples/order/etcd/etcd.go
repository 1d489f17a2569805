// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package etcd makes a client of etcd whose requests are client spans.
package etcd

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc"
)

// New returns a client of the members at ETCD_ENDPOINTS. An etcd that has its
// own tracing turned on continues the traces of its requests.
func New() (*clientv3.Client, error) {
	endpoints := cmp.Or(os.Getenv("ETCD_ENDPOINTS"), "http://127.0.0.1:2379")
	spans := otelgrpc.NewClientHandler(
		otelgrpc.WithSpanAttributes(attribute.String("db.system.name", "etcd")),
		// These streams are open as long as the client: their spans would end with it.
		otelgrpc.WithFilter(filters.None(filters.MethodName("Watch"), filters.MethodName("LeaseKeepAlive"))),
	)
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   strings.Split(endpoints, ","),
		DialOptions: []grpc.DialOption{grpc.WithStatsHandler(spans)},
		// A connection that is dead is noticed, and another member asked.
		DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("make a client of etcd: %w; check ETCD_ENDPOINTS", err)
	}
	return client, nil
}
