// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
)

// Only who shows a certificate of the gateway's CA can send, on each of its ports, and
// certificates can be renewed while it runs.
func TestGatewayAcceptsNobodyWithoutACertificate(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	t.Parallel()
	certs := guideCertificates(t, "IP:127.0.0.1")
	stranger := guideCertificates(t, "IP:127.0.0.1")
	g := startGateways(t, 1, certs, nil, "JAEGER_OTLP_ENDPOINT=127.0.0.1:1", "TLS_RELOAD_INTERVAL=100ms")[0]
	old := certs.client(t, certs)
	old.MaxVersion = tls.VersionTLS12
	for name, c := range map[string]struct {
		tls      *tls.Config // nil: plain
		accepted bool
	}{
		"a certificate":                 {certs.client(t, certs), true},
		"no certificate":                {certs.client(t, ""), false},
		"a certificate of another CA":   {certs.client(t, stranger), false},
		"no TLS":                        {nil, false},
		"TLS 1.2":                       {old, false},
		"a gateway that is not trusted": {stranger.client(t, certs), false},
	} {
		t.Run(name, func(t *testing.T) {
			for port, at := range map[string]string{"agents": g.at(g.grpc), "gateways": g.at(g.balanced)} {
				want := codes.Unavailable
				if c.accepted {
					want = codes.OK
				}
				err := sendOverGRPC(t, at, c.tls)
				assert.Equal(t, want, grpcstatus.Code(err), "%s: %v", port, err)
			}
			answer, err := sendOverHTTP(t, g.at(g.http), c.tls)
			switch {
			case c.accepted:
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, answer)
			case c.tls == nil:
				assert.Equal(t, http.StatusBadRequest, answer, "the answer of Go's TLS server to plain HTTP")
			default:
				assert.Error(t, err)
			}
		})
	}

	t.Run("a certificate that is renewed", func(t *testing.T) {
		before := servedBy(t, g.at(g.grpc), certs.client(t, certs))
		certs.renew(t, "IP:127.0.0.1")
		require.Eventually(t, func() bool {
			return servedBy(t, g.at(g.grpc), certs.client(t, certs)) != before
		}, soon, 100*time.Millisecond, "the gateway shows the new one")
		assert.NoError(t, sendOverGRPC(t, g.at(g.grpc), certs.client(t, certs)))
	})
}

// The addition for DNS takes the place of the list of gateways, and a name that is not the
// host in the address is asked of their certificates.
func TestGatewaysAreFoundByDNS(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	t.Parallel()
	certs, backend := guideCertificates(t, "DNS:gateway.example"), startBlackHole(t)
	g := startGateways(t, 1, certs, []string{"gateway-dns"}, "JAEGER_OTLP_ENDPOINT="+backend.address, "DECISION_WAIT=1s",
		"GATEWAYS=[nowhere.invalid:1]", "GATEWAYS_DNS=127.0.0.1", "GATEWAYS_SERVER_NAME=gateway.example")[0]
	config := certs.client(t, certs)
	config.ServerName = "gateway.example"
	conn, err := grpc.NewClient(g.at(g.grpc), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	_, err = ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(someTraces(1)))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return backend.spans() == spansOfATrace }, soon, 100*time.Millisecond)
}

// servedBy returns the serial number of the server's certificate.
func servedBy(t *testing.T, address string, config *tls.Config) string {
	t.Helper()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", address, config)
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func sendOverGRPC(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	transport := insecure.NewCredentials()
	if config != nil {
		transport = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = ptraceotlp.NewGRPCClient(conn).Export(ctx, ptraceotlp.NewExportRequestFromTraces(ptrace.NewTraces()))
	return err
}

func sendOverHTTP(t *testing.T, address string, config *tls.Config) (answer int, err error) {
	t.Helper()
	client, url := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, "http://"+address
	if config != nil {
		url = "https://" + address
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/traces", http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}
