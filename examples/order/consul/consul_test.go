// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const soon = 30 * time.Second

// startConsul runs a real agent for a test, and sets CONSUL_HTTP_ADDR.
func startConsul(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("LAB_CONSUL"), "consul"))
	if testing.Short() || err != nil {
		t.Skip("needs a real Consul: set LAB_CONSUL to the path of its executable, or have it on PATH")
	}
	ports := make([]any, 3)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	args := fmt.Sprintf("agent -dev -bind=127.0.0.1 -log-level=warn -http-port=%d -server-port=%d -serf-lan-port=%d"+
		" -serf-wan-port=-1 -grpc-port=-1 -grpc-tls-port=-1 -dns-port=-1", ports[0], ports[1], ports[2])
	command := exec.Command(path, strings.Fields(args)...)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	t.Setenv("CONSUL_HTTP_ADDR", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	t.Cleanup(func() {
		_ = command.Process.Kill() // it keeps nothing
		_ = command.Wait()
		if t.Failed() {
			t.Logf("consul:\n%s", log.String())
		}
	})
	require.NoError(t, command.Start())
}

func TestAServiceIsFoundWhileItIsHealthyAndRegistered(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	startConsul(t)
	client, err := New()
	require.NoError(t, err)
	require.Eventually(t, func() bool { // Consul serves, and has elected itself.
		_, err := client.Discover(t.Context(), "consul")
		return err == nil
	}, soon, 100*time.Millisecond)
	_, err = client.Discover(t.Context(), "users")
	require.ErrorIs(t, err, ErrNoInstance)

	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/healthz", r.URL.Path)
	}))
	defer service.Close()
	addr := service.Listener.Addr().String()
	deregister, err := client.Register(t.Context(), Service{Name: "users", ID: "users-1", Addr: addr})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		found, err := client.Discover(t.Context(), "users")
		require.NoError(c, err)
		assert.Equal(c, addr, found)
	}, soon, 100*time.Millisecond)
	require.NoError(t, deregister(t.Context()))
	require.Eventually(t, func() bool {
		_, err := client.Discover(t.Context(), "users")
		return err != nil
	}, soon, 100*time.Millisecond)

	names := map[string]bool{}
	for _, span := range recorder.Ended() {
		names[span.Name()] = true
	}
	assert.Equal(t, map[string]bool{
		"GET /v1/health/service/{name}": true, "PUT /v1/agent/service/register": true, "PUT /v1/agent/service/deregister/{name}": true,
	}, names)
}

func TestAKeyIsReadAndWatched(t *testing.T) {
	startConsul(t)
	client, err := New()
	require.NoError(t, err)
	const key = "order/config/max_quantity"
	put := func(value string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			_, err := client.api.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil)
			require.NoError(c, err)
		}, soon, 100*time.Millisecond)
	}
	values := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // before Consul serves, and before there is the key
		client.Watch(ctx, key, func(value string) { values <- value })
		close(ended)
	}()
	for _, value := range []string{"5", "6", "7"} {
		put(value)
		assert.Equal(t, value, next(t, values))
	}
	got, err := client.Get(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, "7", got)
	_, err = client.Get(t.Context(), "order/none")
	require.ErrorContains(t, err, "there is no such key")
	cancel()
	<-ended
	assert.Empty(t, values)
}

func next(t *testing.T, values <-chan string) string {
	t.Helper()
	select {
	case value := <-values:
		return value
	case <-time.After(soon):
		require.Fail(t, "nothing came")
		return ""
	}
}

// A restored Consul counts from an older index.
func TestAnIndexThatGoesBackIsNotWaitedFor(t *testing.T) {
	asked := make(chan string, 10)
	consul := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		index := r.URL.Query().Get("index")
		asked <- index
		switch {
		case len(asked) == 1: // the first
			w.Header().Set("X-Consul-Index", "100")
			fmt.Fprint(w, `[{"Key":"k","ModifyIndex":90,"Value":"bmV3"}]`) // new
		case index == "20": // nothing changes
			<-r.Context().Done()
		default:
			w.Header().Set("X-Consul-Index", "20")
			fmt.Fprint(w, `[{"Key":"k","ModifyIndex":20,"Value":"b2xk"}]`) // old
		}
	}))
	defer consul.Close()
	t.Setenv("CONSUL_HTTP_ADDR", consul.URL)
	client, err := New()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	values := make(chan string, 10)
	ended := make(chan struct{})
	go func() { client.Watch(ctx, "k", func(value string) { values <- value }); close(ended) }()
	assert.Equal(t, "new", next(t, values))
	assert.Equal(t, "old", next(t, values))
	for _, index := range []string{"", "100", "", "20"} {
		assert.Equal(t, index, next(t, asked))
	}
	cancel()
	<-ended
}
