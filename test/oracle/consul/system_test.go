// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
    collection_interval: 1s
    initial_delay: 100ms
    storage: file_storage
    kv: {prefixes: [kv/, locks/, sem/]}
    metrics:
      consul.health.node.state: {enabled: true}
      consul.health.service.instance.state: {enabled: true}
`

// shared is what all datacenters of a run share.
type shared struct {
	*oracle.Run
	sink      *oracle.Sink
	collector *lab.Collector
	token     string // the file with the collector's token
	systems   []*system
}

// system is one datacenter of Consul.
type system struct {
	*shared
	datacenter string
	consul     *lab.Consul
	client     *api.Client
	domains    []*oracle.Domain
	ends       ends
	probes     atomic.Int64
	imports    *system // a peer, of which all services are imported; may be nil
}

// How long the scenarios take.
const (
	wide   = time.Minute
	narrow = 40 * time.Second // one with a smaller workload
)

// newRun begins a run without datacenters.
func newRun(t *testing.T, duration time.Duration) *shared {
	t.Helper()
	return &shared{Run: oracle.Start(t, "consul", duration), token: filepath.Join(t.TempDir(), "token")}
}

// start starts a Consul, and the collector beside its first server.
func start(t *testing.T, duration time.Duration, opts lab.ServerOptions) *system {
	t.Helper()
	all := newRun(t, duration)
	s := all.startDatacenter(t, opts)
	all.observe(t, s.consul.Token, "")
	return s
}

// observe starts the collector beside the first datacenter, with more of the receiver's
// configuration, which is indented, and waits until it observes all.
func (all *shared) observe(t *testing.T, token, config string) {
	t.Helper()
	all.sink = all.StartSink(t)
	text := fmt.Sprintf(collectorConfig, all.systems[0].consul.Addr) + config
	if token != "" {
		require.NoError(t, os.WriteFile(all.token, []byte(token), 0o600))
		text += fmt.Sprintf("    token_file: %s\n", all.token)
	}
	all.collector = all.StartCollector(t, all.sink, "consul", text)
	require.NoError(t, all.allObserved(t.Context()))
}

// startDatacenter starts a Consul.
func (all *shared) startDatacenter(t *testing.T, opts lab.ServerOptions) *system {
	t.Helper()
	s := &system{shared: all, datacenter: cmp.Or(opts.Datacenter, "dc1")}
	opts.ExtraHCL += serverConfig
	var err error
	s.consul, err = lab.StartConsul(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.consul.Stop(context.Background())) })
	s.client, err = api.NewClient(&api.Config{Address: s.consul.Addr, Token: s.consul.Token})
	require.NoError(t, err)
	all.systems = append(all.systems, s)
	return s
}

// own returns the records of the system's datacenter.
func own[R any](s *system, records []R, resource func(R) oracle.Attributes) []R {
	if len(s.systems) == 1 {
		return records
	}
	return slices.DeleteFunc(slices.Clone(records), func(r R) bool { return resource(r)[attrDatacenter] != s.datacenter })
}

func (s *system) events() []oracle.Event { return s.ownEvents(s.sink.Events()) }

func (s *system) ownEvents(events []oracle.Event) []oracle.Event {
	return own(s, events, func(e oracle.Event) oracle.Attributes { return e.Resource })
}

func (s *system) spans() []oracle.Span {
	return own(s, s.sink.Spans(), func(span oracle.Span) oracle.Attributes { return span.Resource })
}

// catalogDomain makes a domain of services, nodes and checks.
func (s *system) catalogDomain(read func(ctx context.Context) (map[string]string, error)) *oracle.Domain {
	d := s.domain(read)
	d.KeepOf = func(object, before, state string) time.Duration {
		if strings.HasPrefix(object, checkPrefix) && state != oracle.Absent && (before != oracle.Absent || state != api.HealthPassing) {
			return minTurn
		}
		return minCatalogTurn
	}
	return d
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
