// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// The answers are those of Consul 1.19.2.
func TestWhichClusterItIs(t *testing.T) {
	const id = "78124fb1-69f1-7c66-78b1-79920cb4a492"
	type reply struct {
		status int
		body   string
	}
	roots := reply{body: `{"ActiveRootID":"7b:d5","TrustDomain":"` + id + `.consul","Roots":[]}`}
	leader, none := reply{body: `"127.0.0.1:8300"`}, reply{body: `""`}
	noLeader := reply{500, "No cluster leader"}
	for name, tc := range map[string]struct {
		datacenter    string
		roots, leader reply
		tries         int
		want          string // empty: none yet
	}{
		"its ID":                           {"dc1", roots, leader, 1, id + "/dc1"},
		"a datacenter without a name":      {"", roots, leader, 1, id + "/127.0.0.1:8500"},
		"Connect is off":                   {"dc1", reply{500, "Connect must be enabled in order to use this endpoint"}, leader, 1, "dc1"},
		"it is refused":                    {"dc1", reply{403, "Permission denied"}, leader, 1, "dc1"},
		"it is not there":                  {"dc1", reply{404, "Invalid URL path"}, leader, 1, "dc1"},
		"it is busy":                       {"dc1", reply{429, "rate limit reached"}, leader, 2, ""},
		"it fails while all else works":    {"dc1", reply{500, "rpc error"}, leader, 3, "dc1"},
		"there has never been a leader":    {"dc1", noLeader, none, 10, ""},
		"another server":                   {"dc1", reply{body: `{}`}, reply{body: `{}`}, 10, ""},
		"there is no name and no Connect":  {"", reply{500, "Connect must be enabled in order to use this endpoint"}, leader, 1, "127.0.0.1:8500"},
		"there is no leader at the moment": {"dc1", roots, none, 1, id + "/dc1"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := tc.roots
				if strings.HasSuffix(r.URL.Path, "/leader") {
					answer = tc.leader
				}
				w.WriteHeader(cmp.Or(answer.status, http.StatusOK))
				_, _ = io.WriteString(w, answer.body)
			}))
			defer server.Close()
			c, err := consulapi.New(t.Context(), consulapi.Options{Endpoint: server.URL}, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
			require.NoError(t, err)
			defer c.Close()
			e := NewEnv(&Shared{Address: "127.0.0.1:8500"}, c, tc.datacenter)
			for try := range tc.tries {
				err = e.identifyCluster(t.Context())
				if try < tc.tries-1 {
					require.Error(t, err, "try %d", try)
				}
			}
			assert.Equal(t, tc.want == "", err != nil, "%v", err)
			assert.Equal(t, tc.want, e.clusterID())
		})
	}
}

// The IDs of what has begun must be those of its end.
func TestTheIdentityStays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"TrustDomain":"a.consul"}`)
	}))
	defer server.Close()
	c, err := consulapi.New(t.Context(), consulapi.Options{Endpoint: server.URL}, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	defer c.Close()
	e := NewEnv(&Shared{Address: "127.0.0.1:8500"}, c, "")
	require.NoError(t, e.identifyCluster(t.Context()))
	e.SetDatacenter("dc1")
	require.NoError(t, e.identifyCluster(t.Context()))
	assert.Equal(t, "a/127.0.0.1:8500", e.clusterID())
}
