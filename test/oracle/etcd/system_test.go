// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(lab.ForkGoroutine))
}

// The prefixes that the collector observes, and what it does not.
const (
	prefixApp       = "/app/"
	prefixDeep      = "/app/deep/"
	prefixLocks     = "/locks/"
	prefixElections = "/elections/"
	excluded        = "/app/private/"
	prefixOther     = "/other/"
)

var observedPrefixes = prefixes{
	watch: []string{prefixApp, prefixDeep}, locks: []string{prefixLocks}, elections: []string{prefixElections},
}

const collectorConfig = `
receivers:
  etcd:
    endpoints: [%s]
    collection_interval: 1s
    initial_delay: 100ms
    timeout: 2s
    storage: file_storage
    watch:
      prefixes: [/app/, /app/deep/]
      exclude: ["/app/private/.*"]
    locks: {prefixes: [/locks/]}
    elections: {prefixes: [/elections/]}
%s
service:
  telemetry:
    metrics:
      level: basic
      readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %d}}}}]
`

// How long the scenarios take.
const (
	wide   = 50 * time.Second
	narrow = 40 * time.Second // one with a smaller workload
)

// system is an etcd, and the collector that observes it.
type system struct {
	*oracle.Run
	prefixes  prefixes
	etcd      *lab.Etcd
	dir       string
	client    *clientv3.Client // of the workload and the oracle, which is root if there are users
	password  string           // the file with the collector's password
	sink      *oracle.Sink
	collector *lab.Collector
	ownPort   int // of the collector's own metrics

	observedEndpoints []string // the members that the collector observes
	formerClusters    []string // IDs of clusters that were there before
	proxied           bool

	history     *history
	ends        *ends
	required    int64 // changes after this revision have to be reported
	probes      atomic.Int64
	domains     []*oracle.Domain
	baselines   map[string]string // states of the objects of domains that were there before the collector
	background  sync.WaitGroup
	mu          sync.Mutex
	compactions []int64
	samples     []sample

	attemptEnds tally
	spansBy     map[string][]oracle.Span
}

// newSystem begins a run, and starts an etcd that is not observed yet.
func newSystem(t *testing.T, duration time.Duration, opts lab.ServerOptions) *system {
	t.Helper()
	s := &system{Run: oracle.Start(t, "etcd", duration), prefixes: observedPrefixes, ends: newEnds(), dir: t.TempDir()}
	opts.Dir = s.dir
	var err error
	s.etcd, err = lab.StartEtcd(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, member := range s.etcd.Members {
				t.Logf("--- %s\n%s", member.Name(), member.LogTail(20))
			}
		}
		require.NoError(t, s.etcd.Stop(context.Background()))
	})
	s.client = s.newClient(t, s.etcd.Endpoints...)
	s.history = &history{client: s.newClient(t, s.etcd.Endpoints...)}
	return s
}

// root is who the workload is once there are users. Until then, etcd does not ask.
const root, rootPassword = "root", "r00t"

func (s *system) newClient(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: 5 * time.Second, Username: root, Password: rootPassword, MaxCallSendMsgSize: 8 << 20,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// start starts an etcd with some keys, and the collector.
func start(t *testing.T, duration time.Duration, opts lab.ServerOptions) *system {
	t.Helper()
	s := newSystem(t, duration, opts)
	s.observe(t, s.etcd.Endpoints, "")
	return s
}

// observe makes what is there from the beginning, starts the collector with more of the
// receiver's configuration, which is indented, and waits until it observes all.
func (s *system) observe(t *testing.T, endpoints []string, config string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		stop()
		s.background.Wait()
		s.history.end()
	})
	s.observedEndpoints = endpoints
	s.early(t)
	before, err := s.client.Get(ctx, "\x00", clientv3.WithFromKey())
	require.NoError(t, err)
	base := map[string]key{}
	for _, kv := range before.Kvs {
		base[string(kv.Key)] = keyOf(kv)
	}
	s.history.begin(ctx, &epoch{from: before.Header.Revision, base: base})

	s.sink = s.StartSink(t)
	ports, err := lab.FreePorts(1)
	require.NoError(t, err)
	s.ownPort = ports[0]
	if !strings.Contains(config, "leases:") {
		config += "    leases: {requests_per_second: 50}\n" // The workload is that of many clients.
	}
	s.collector = s.StartCollector(t, s.sink, "etcd", fmt.Sprintf(collectorConfig, strings.Join(endpoints, ", "), config, s.ownPort))
	s.watchCluster(ctx)
	s.background.Go(func() { s.sample(ctx) })
	require.NoError(t, s.observed(t.Context()))
	s.required, err = s.history.catchUp(t.Context())
	require.NoError(t, err)
}

// early makes what is there before the collector: a lock with a holder and one that waits,
// a leader and a candidate, keys with a lease and without one.
func (s *system) early(t *testing.T) {
	t.Helper()
	for _, name := range []string{prefixLocks + "early", prefixLocks + "early", prefixElections + "early", prefixElections + "early", prefixApp + "early"} {
		_, err := s.stay(t.Context(), name)
		require.NoError(t, err)
	}
	_, err := s.client.Put(t.Context(), prefixDeep+"early", "there")
	require.NoError(t, err)
	_, err = s.client.Put(t.Context(), prefixOther+"early", "not observed")
	require.NoError(t, err)
}

// lasting is the time to live of leases that do not expire in a run, in seconds.
const lasting = 3600

// stay makes an attempt that lasts.
func (s *system) stay(ctx context.Context, name string) (lease int64, err error) {
	grant, err := s.client.Grant(ctx, lasting)
	if err != nil {
		return 0, err
	}
	lease = int64(grant.ID)
	s.granted(lease, lasting)
	value := ""
	if strings.HasPrefix(name, prefixElections) {
		value = "candidate"
	}
	k := name + "/" + hex(lease)
	s.tries(k)
	_, err = s.client.Put(ctx, k, value, clientv3.WithLease(grant.ID))
	return lease, err
}

// revoke revokes a lease.
func (s *system) revoke(ctx context.Context, lease int64) error {
	s.leaseEnds(lease, leaseRevoked)
	_, err := s.client.Revoke(ctx, clientv3.LeaseID(lease))
	return err
}

func (s *system) compacted(revision int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.compactions, revision)
}

// compact compacts up to a revision that the oracle knows.
func (s *system) compact(ctx context.Context, revision int64) error {
	s.mu.Lock()
	s.compactions = append(s.compactions, revision)
	s.mu.Unlock()
	_, err := s.client.Compact(ctx, revision)
	return err
}

// home is the folder of the data of a member.
func (s *system) home(member int) string {
	return filepath.Join(s.dir, s.etcd.Members[member].Name(), "data")
}
