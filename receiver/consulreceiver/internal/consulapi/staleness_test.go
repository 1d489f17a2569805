// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
)

// The headers are those that Consul 1.19.2 sends.
func TestAnAnswerThatIsTooOldIsAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		headers map[string]string
		most    time.Duration
		want    time.Duration // LastContact
		err     string
	}{
		"the leader": {
			map[string]string{"X-Consul-KnownLeader": "true", "X-Consul-LastContact": "0"}, time.Minute, 0, "",
		},
		"an election": {
			map[string]string{"X-Consul-KnownLeader": "false", "X-Consul-LastContact": "20076"}, time.Minute, 20_076 * time.Millisecond, "",
		},
		"a server that is cut off": {
			map[string]string{"X-Consul-KnownLeader": "false", "X-Consul-LastContact": "120076"}, time.Minute, 120_076 * time.Millisecond,
			"catalog/nodes: the server that answers has not heard from a leader for 2m0s, which is longer than max_staleness",
		},
		"one that started alone": {
			map[string]string{"X-Consul-KnownLeader": "false", "X-Consul-LastContact": "9223372036854"}, time.Minute, Never,
			"catalog/nodes: the server that answers has not heard from a leader since it started",
		},
		"more than there is": {
			map[string]string{"X-Consul-LastContact": "18446744073709551615"}, time.Minute, Never,
			"catalog/nodes: the server that answers has not heard from a leader since it started",
		},
		"any age": {
			map[string]string{"X-Consul-KnownLeader": "false", "X-Consul-LastContact": "120076"}, 0, 120_076 * time.Millisecond, "",
		},
		"a stream, which knows neither": {
			map[string]string{"X-Consul-KnownLeader": "false", "X-Consul-LastContact": "0", "X-Consul-Query-Backend": "streaming"}, time.Minute, 0, "",
		},
		"no such headers": {nil, time.Minute, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Consul-Index", "20")
				for header, value := range tc.headers {
					w.Header().Set(header, value)
				}
				_, _ = io.WriteString(w, `["a"]`)
			}))
			defer server.Close()
			c, err := New(t.Context(), Options{Endpoint: server.URL, MaxStaleness: tc.most}, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
			require.NoError(t, err)
			defer c.Close()
			got, meta, err := GetIndexed[[]string](t.Context(), c, "catalog/nodes", Query{})
			assert.Equal(t, tc.want, meta.LastContact)
			if tc.err == "" {
				require.NoError(t, err)
				assert.Equal(t, []string{"a"}, got)
				return
			}
			require.EqualError(t, err, tc.err)
			assert.True(t, IsStale(err))
			assert.Empty(t, got)
		})
	}
}
