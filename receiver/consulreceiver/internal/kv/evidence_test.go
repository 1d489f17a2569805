// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// reading returns a collector that reads from answer.
func reading(t *testing.T, answer http.HandlerFunc) *collector {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := consulapi.New(t.Context(), consulapi.Options{
		Endpoint: server.URL, HTTP: confighttp.ClientConfig{Timeout: time.Minute},
	}, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &collector{Env: &collect.Env{API: c}}
}

// A part of the API that fails is not requested each object.
func TestEvidenceEndsWithTheFirstReadThatFails(t *testing.T) {
	var refused atomic.Int64
	c := reading(t, func(w http.ResponseWriter, _ *http.Request) {
		refused.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	var needs Needs
	for i := range 30 {
		needs.Deleted = append(needs.Deleted, fmt.Sprint("locks/", i))
	}
	e, _ := c.readEvidence(t.Context(), needs)
	assert.Empty(t, e.DeletedAt)
	assert.LessOrEqual(t, refused.Load(), int64(maxParallel))
}

// All of it is read, each for its object.
func TestEvidenceIsOfEachObject(t *testing.T) {
	c := reading(t, func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		w.Header().Set("X-Consul-Index", "1"+name)
		if strings.HasPrefix(r.URL.Path, "/v1/kv/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprint(w, `[{"ID":"s","CreateIndex":5}]`)
	})
	var needs Needs
	want := Evidence{Sessions: map[string]SessionState{}, Created: map[uint64]bool{}, DeletedAt: map[string]uint64{}}
	for i := range uint64(30) {
		id, name := fmt.Sprintf("%03d", i), fmt.Sprintf("locks/%03d", i)
		needs.Sessions, needs.Deleted = append(needs.Sessions, id), append(needs.Deleted, name)
		want.Sessions[id], want.DeletedAt[name] = SessionState{Alive: true, Index: 1000 + i}, 1000+i
	}
	got, _ := c.readEvidence(t.Context(), needs)
	assert.Equal(t, want, got)
}

// The list of all sessions is read only for what it can prove, and paces the watch.
func TestSessionsAreListedOnlyIfSomeChangedAfterAKeyWasGivenUp(t *testing.T) {
	for name, tc := range map[string]struct {
		sessions string // index
		end      End
		listed   int
	}{
		"the session ended with the key":            {"9", Invalidated, 0},
		"sessions changed since the key was let go": {"10", Invalidated, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := reading(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/v1/kv/"):
					w.Header().Set("X-Consul-Index", "9")
					_, _ = fmt.Fprint(w, `[{"Key":"locks/a","CreateIndex":1,"ModifyIndex":9,"LockIndex":1}]`)
				case r.URL.Path == "/v1/session/list":
					w.Header().Set("X-Consul-Index", tc.sessions)
					_, _ = fmt.Fprint(w, `[{"ID":"t","CreateIndex":10},{"ID":"u","CreateIndex":4},{"ID":"v","CreateIndex":5}]`)
				default:
					w.Header().Set("X-Consul-Index", tc.sessions)
					_, _ = fmt.Fprint(w, `[]`)
				}
			})
			c.prefix = "locks/"
			c.keys.Step(snapshottest.At(0), keys{"locks/a": free(1, 8, 1).heldBy("s")}.at(8).Observation, Evidence{})
			result, err := c.read(t.Context(), c.API, consulapi.Query{})
			require.NoError(t, err)
			assert.Equal(t, 1+tc.listed, result.Read)
			_, effects := c.keys.Step(snapshottest.At(1), keys(result.Objects).at(9).Observation, c.evidence)
			assert.Equal(t, tc.end, effects[0].(Ended).How)
		})
	}
}
