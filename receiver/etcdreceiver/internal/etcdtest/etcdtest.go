// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package etcdtest serves gRPC in tests with messages as they are on the wire.
package etcdtest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
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
	server := grpc.NewServer(grpc.ForceServerCodec(Wire{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return serve(stream) }))
	go func() { _ = server.Serve(listener) }() // until Stop
	t.Cleanup(server.Stop)
	return "http://" + listener.Addr().String()
}
