// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package etcdtest serves gRPC in tests with messages as they are on the wire.
package etcdtest

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// Wire is a codec that leaves messages as they are on the wire.
type Wire struct{}

// Name implements encoding.Codec.
func (Wire) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (Wire) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

// Unmarshal implements encoding.Codec.
func (Wire) Unmarshal(data []byte, into any) error {
	*into.(*[]byte) = append([]byte{}, data...)
	return nil
}

// Serve serves whatever methods until the test ends, and returns the endpoint.
func Serve(t *testing.T, serve func(grpc.ServerStream) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(serveOn(listener, serve))
	return "http://" + listener.Addr().String()
}

// ServeInMemory serves whatever methods without a network, as in the bubble of a
// synctest, until stop is called. dial connects to it, whatever the address.
func ServeInMemory(serve func(grpc.ServerStream) error) (dial func(context.Context, string) (net.Conn, error), stop func()) {
	listener := bufconn.Listen(1 << 20)
	return func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }, serveOn(listener, serve)
}

func serveOn(listener net.Listener, serve func(grpc.ServerStream) error) (stop func()) {
	server := grpc.NewServer(grpc.ForceServerCodec(Wire{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return serve(stream) }))
	go func() { _ = server.Serve(listener) }() // until Stop
	return server.Stop
}
