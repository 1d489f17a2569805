// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
)

// The name of an object may hold anything.
func TestTheNameOfAnObjectIsNoParameter(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("X-Consul-Index", "1")
		_, _ = w.Write([]byte("[]"))
	}))
	defer server.Close()
	c, err := New(t.Context(), Options{HTTP: confighttp.NewDefaultClientConfig(), Endpoint: server.URL}, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	defer c.Close()
	_, _, err = GetIndexed[[]string](t.Context(), c, "health/node", Query{Object: "a?dc=dc2&b#c%2F é"})
	require.NoError(t, err)
	assert.Equal(t, "/v1/health/node/a?dc=dc2&b#c%2F é", got.URL.Path)
	assert.Empty(t, got.URL.Query().Get("dc"))
}
