// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(lab.ForkGoroutine))
}

// The prefixes of keys that the collector observes.
const (
	prefixKeys       = "kv/"
	prefixLocks      = "locks/"
	prefixSemaphores = "sem/"
)

var prefixes = []string{prefixKeys, prefixLocks, prefixSemaphores}

// serverConfig lets sessions expire within seconds.
const serverConfig = `
session_ttl_min = "1s"
limits { http_max_conns_per_client = 400 }
`

const collectorConfig = `
receivers:
  consul:
    endpoint: http://%s
    token: %q
    collection_interval: 1s
    initial_delay: 100ms
    storage: file_storage
    kv: {prefixes: [kv/, locks/, sem/]}
`

// system is a Consul with the collector that observes it.
type system struct {
	*oracle.Run
	consul    *lab.Consul
	sink      *oracle.Sink
	collector *lab.Collector
	client    *api.Client
	domains   []*oracle.Domain
	ends      ends
	probes    atomic.Int64
}

// start starts a Consul, and the collector beside its first server.
func start(t *testing.T, opts lab.ServerOptions) *system {
	t.Helper()
	s := &system{Run: oracle.Start(t, "consul")}
	opts.ExtraHCL += serverConfig
	var err error
	s.consul, err = lab.StartConsul(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.consul.Stop(context.Background())) })
	s.client, err = api.NewClient(&api.Config{Address: s.consul.Addr, Token: s.consul.Token})
	require.NoError(t, err)
	s.sink = oracle.StartSink(t)
	s.collector = s.StartCollector(t, s.sink, "consul", fmt.Sprintf(collectorConfig, s.consul.Addr, s.consul.Token))
	require.NoError(t, s.observed(t.Context()))
	return s
}

// domain makes one whose objects the actor alone changes.
func (s *system) domain(read func(ctx context.Context) (map[string]string, error)) *oracle.Domain {
	d := &oracle.Domain{Read: read, Keep: minTurn, Within: within}
	s.domains = append(s.domains, d)
	return d
}

// recordAll reads the truth after a fault of the server that began at from.
func (s *system) recordAll(ctx context.Context, from time.Time) {
	for _, d := range s.domains {
		d.Record(ctx, from)
	}
}

// sure is a read by the leader, after it has made sure that it leads.
func sure(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

func write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{}).WithContext(ctx)
}
