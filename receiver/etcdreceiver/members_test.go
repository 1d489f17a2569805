// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/compaction"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/leader"
)

const (
	elected = "etcd.raft.leader.elected"
	subject = "etcd.member.subject.id"

	leaderless = leader.SpanLeaderless
)

// clusterOnly is a configuration that observes no keys.
func clusterOnly(endpoints ...string) *Config {
	cfg := defaultConfig()
	cfg.Endpoints = endpoints
	cfg.Scrape.Timeout = 3 * time.Second
	return cfg
}

// roles is a condition: the numbers of voters and learners.
func (o *observed) roles(voters, learners int64) func() bool {
	return func() bool {
		return o.HasValue(voters, "etcd.member.count", "etcd.member.role", "voter")() &&
			o.HasValue(learners, "etcd.member.count", "etcd.member.role", "learner")()
	}
}

// elects is a condition: the newest leader that was reported is another one.
func (o *observed) elects(before string) func() bool {
	return func() bool {
		events := o.Events(elected)
		return len(events) > 0 && value(events[len(events)-1].Attributes(), subject) != before
	}
}

// leadingMember returns which member leads, and its ID, once one does.
func leadingMember(t *testing.T, client *clientv3.Client, endpoints []string) (leader int, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for i, endpoint := range endpoints {
			status, err := client.Status(t.Context(), endpoint)
			if err == nil && status.Leader == status.Header.MemberId {
				leader, id = i, collect.Hex(status.Leader)
				return true
			}
		}
		return false
	}, soon, 20*time.Millisecond)
	return leader, id
}

func TestAClusterLosesItsLeaderAndItsQuorum(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 3})
	before := termOf(t, client)
	o := observe(t, clusterOnly(etcd.Endpoints...))
	o.Eventually(t, "the members", o.roles(3, 0))
	o.Eventually(t, "a leader", o.HasValue(1, "etcd.raft.has_leader"))
	for name, want := range map[string]int64{"etcd.compact_revision": 1, "etcd.writes": 0} {
		o.Eventually(t, name, o.HasValue(want, name))
	}
	changes := func() int64 {
		n, _ := o.Value("etcd.raft.leader.changes")
		return n
	}
	assert.True(t, changes() == 0 || termOf(t, client) > before, "only an election is counted")
	leader, id := leadingMember(t, client, etcd.Endpoints)
	other := (leader + 2) % 3
	for _, kind := range []string{"nospace", "corrupt"} {
		o.Eventually(t, "no alarm", o.HasValue(0, "etcd.alarm.count", "etcd.alarm.type", kind))
	}

	require.NoError(t, etcd.Members[leader].Kill())
	began := time.Now()
	o.Eventually(t, "another leader", o.elects(id))
	t.Logf("reported %s after the leader was killed", time.Since(began))
	o.Eventually(t, "it is counted", func() bool { return changes() >= 1 }) // More than one vote may have been needed.
	o.Eventually(t, "a leader", o.HasValue(1, "etcd.raft.has_leader"))
	assert.Equal(t, plog.SeverityNumberInfo, o.Events(elected)[0].SeverityNumber())
	lost := len(o.Events("etcd.raft.leader.lost")) // An election can be over between two looks.
	over := func(n int) func() bool {
		return func() bool { return len(o.Spans(leaderless)) >= n }
	}
	o.Eventually(t, "its times without a leader", over(lost))
	assert.Len(t, o.Spans(leaderless), lost)

	require.NoError(t, etcd.Members[other].Kill())
	o.Eventually(t, "there is no leader", o.HasValue(0, "etcd.raft.has_leader"))
	o.Eventually(t, "it is reported", func() bool { return len(o.Events("etcd.raft.leader.lost")) == lost+1 })
	assert.Equal(t, plog.SeverityNumberError, o.Events("etcd.raft.leader.lost")[lost].SeverityNumber())
	o.Eventually(t, "its marker", func() bool { return len(o.Spans(leaderless+".start")) > lost })
	assert.Len(t, o.Spans(leaderless+".start"), lost+1)
	assert.Len(t, o.Spans(leaderless), lost, "it lasts")
	o.Eventually(t, "the member that is left is up", o.has("etcd.member.up", etcd.Endpoints[3-leader-other], 1))
	late := observe(t, clusterOnly(etcd.Endpoints...))
	late.Eventually(t, "who comes late sees it too", late.HasValue(0, "etcd.raft.has_leader"))

	require.NoError(t, etcd.Members[other].Restart(t.Context()))
	o.Eventually(t, "the time without a leader has ended", over(lost+1))
	o.Eventually(t, "a leader", o.HasValue(1, "etcd.raft.has_leader"))
	late.Eventually(t, "who came late tells it", late.HasSpan(leaderless, period.AttrBeganBeforeObservation, "true"))
	last := o.Spans(leaderless)[lost]
	assert.Equal(t, ptrace.StatusCodeError, last.Status().Code())
	assert.Equal(t, last.SpanID(), o.Spans(leaderless + ".start")[lost].ParentSpanID())
	ended := slices.DeleteFunc(o.Events(elected), func(e plog.LogRecord) bool { return e.TraceID() != last.TraceID() })
	require.Len(t, ended, 1, "and others may follow")
	assert.Equal(t, last.EndTimestamp(), ended[0].Timestamp())
	assert.Equal(t, elected, late.Events("")[0].EventName(), "the baseline is not news")
}

// startLearner starts another member of a cluster of one, and returns its ID.
func startLearner(t *testing.T, client *clientv3.Client) uint64 {
	t.Helper()
	bin, err := lab.Binary(t.Context(), "etcd", nil)
	require.NoError(t, err)
	list, err := client.MemberList(t.Context())
	require.NoError(t, err)
	var id uint64
	require.NoError(t, lab.OnFreePorts(t.Context(), 2, func(ports []int) error {
		at := fmt.Sprint("http://127.0.0.1:", ports[0])
		peer := fmt.Sprint("http://127.0.0.1:", ports[1])
		added, err := client.MemberAddAsLearner(t.Context(), []string{peer})
		if err != nil {
			return err
		}
		id = added.Member.ID
		first := list.Members[0]
		process, err := lab.StartProcess(lab.Command{Name: "learner", Dir: t.TempDir(), Path: bin, Args: []string{
			"--name=learner", "--data-dir=" + t.TempDir(), "--log-level=warn",
			"--listen-client-urls=" + at, "--advertise-client-urls=" + at,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=" + first.Name + "=" + first.PeerURLs[0] + ",learner=" + peer, "--initial-cluster-state=existing",
		}})
		if err == nil {
			t.Cleanup(func() { require.NoError(t, process.Kill()) })
		}
		return err
	}))
	return id
}

func TestMembersComeArePromotedAndGo(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 1})
	o := observe(t, clusterOnly(etcd.Endpoints...))
	o.Eventually(t, "the members", o.roles(1, 0))

	nowhere, err := client.MemberAddAsLearner(t.Context(), []string{"http://127.0.0.1:1"})
	require.NoError(t, err)
	o.Eventually(t, "a learner that never starts", o.HasEvent("etcd.member.added", subject, collect.Hex(nowhere.Member.ID), "etcd.member.role", "learner"))
	o.Eventually(t, "it counts", o.roles(1, 1))
	assert.Empty(t, value(o.Events("etcd.member.added")[0].Attributes(), "etcd.member.name"))
	_, err = client.MemberRemove(t.Context(), nowhere.Member.ID)
	require.NoError(t, err)
	o.Eventually(t, "it is removed", o.HasEvent("etcd.member.removed", subject, collect.Hex(nowhere.Member.ID), "etcd.member.role", "learner"))
	assert.Equal(t, plog.SeverityNumberWarn, o.Events("etcd.member.removed")[0].SeverityNumber())

	id := startLearner(t, client)
	o.Eventually(t, "a learner", o.HasEvent("etcd.member.added", subject, collect.Hex(id)))
	o.Eventually(t, "its name is known", func() bool {
		list, err := client.MemberList(t.Context())
		return err == nil && slices.ContainsFunc(list.Members, func(m *etcdserverpb.Member) bool { return m.ID == id && m.Name == "learner" })
	})
	o.Eventually(t, "it has caught up", func() bool { // A request that was not answered may have done it.
		_, err := client.MemberPromote(t.Context(), id)
		return err == nil || errors.Is(err, rpctypes.ErrMemberNotLearner)
	})
	o.Eventually(t, "it is promoted", o.HasEvent("etcd.member.promoted", subject, collect.Hex(id), "etcd.member.role", "voter", "etcd.member.name", "learner", "observation.reconciled", "false"))
	o.Eventually(t, "two voters", o.roles(2, 0))
	o.Eventually(t, "it can be removed", func() bool { // etcd waits until it has been well for some seconds.
		_, err := client.MemberRemove(t.Context(), id)
		return err == nil || errors.Is(err, rpctypes.ErrMemberNotFound)
	})
	o.Eventually(t, "it is removed", o.HasEvent("etcd.member.removed", subject, collect.Hex(id), "etcd.member.role", "voter"))
	assert.Len(t, o.Events("etcd.member.added"), 2)
	assert.Len(t, o.Events("etcd.member.removed"), 2)
}

func TestAnEtcdWithoutSpace(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run without -short")
	}
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{ExtraArgs: []string{"--quota-backend-bytes=2000000"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	client := newTestClient(t, clientv3.Config{Endpoints: etcd.Endpoints})
	o := observe(t, clusterOnly(etcd.Endpoints...))
	endpoint := etcd.Endpoints[0]
	nospace := []string{"etcd.alarm.type", "nospace"}
	o.Eventually(t, "no alarm", o.HasValue(0, "etcd.alarm.count", nospace...))
	o.Eventually(t, "the quota", o.has("etcd.db.quota", endpoint, 2_000_000))

	var revision int64
	for {
		answer, err := client.Put(t.Context(), "/big", strings.Repeat("x", 200_000))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			break
		}
		require.NoError(t, err)
		revision = answer.Header.Revision
	}
	o.Eventually(t, "the alarm", o.HasEvent("etcd.alarm.raised", nospace...))
	status, err := client.Status(t.Context(), endpoint)
	require.NoError(t, err)
	raised := o.Events("etcd.alarm.raised")[0]
	assert.Equal(t, collect.Hex(status.Header.MemberId), value(raised.Attributes(), subject))
	assert.Equal(t, "false", value(raised.Attributes(), "observation.reconciled"))
	assert.Equal(t, plog.SeverityNumberError, raised.SeverityNumber())
	o.Eventually(t, "it counts", o.HasValue(1, "etcd.alarm.count", nospace...))
	late := observe(t, clusterOnly(etcd.Endpoints...))
	late.Eventually(t, "who comes late sees it too", late.HasValue(1, "etcd.alarm.count", nospace...))

	_, err = client.Compact(t.Context(), revision)
	require.NoError(t, err)
	_, err = client.Defragment(t.Context(), endpoint)
	require.NoError(t, err)
	_, err = client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	require.NoError(t, err)
	o.Eventually(t, "the alarm is over", o.HasEvent("etcd.alarm.cleared", nospace...))
	o.Eventually(t, "none counts", o.HasValue(0, "etcd.alarm.count", nospace...))
	late.Eventually(t, "who came late sees it too", late.HasValue(0, "etcd.alarm.count", nospace...))
	assert.Len(t, o.Events("etcd.alarm.raised"), 1)
	assert.Len(t, o.Events("etcd.alarm.cleared"), 1)
	assert.Empty(t, late.Events("etcd.alarm.raised"), "the baseline is not news")
	requireNoProposals(t, client, endpoint)
}

// requireNoProposals requires that raft has nothing to do.
func requireNoProposals(t *testing.T, client *clientv3.Client, endpoint string) {
	t.Helper()
	time.Sleep(500 * time.Millisecond) // what is under way
	before, err := client.Status(t.Context(), endpoint)
	require.NoError(t, err)
	time.Sleep(2 * time.Second)
	after, err := client.Status(t.Context(), endpoint)
	require.NoError(t, err)
	assert.Equal(t, before.RaftIndex, after.RaftIndex, "observing proposes nothing")
}

func TestCompactions(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 1})
	endpoint := etcd.Endpoints[0]
	write := func(times int) (revision int64) {
		for range times {
			answer, err := client.Put(t.Context(), "/elsewhere", "")
			require.NoError(t, err)
			revision = answer.Header.Revision
		}
		return revision
	}
	compact := func(revision int64) {
		_, err := client.Compact(t.Context(), revision)
		require.NoError(t, err)
		_, err = client.Get(t.Context(), "/elsewhere", clientv3.WithRev(revision))
		require.NoError(t, err, "what it was compacted to can be read")
		_, err = client.Get(t.Context(), "/elsewhere", clientv3.WithRev(revision-1))
		require.ErrorIs(t, err, rpctypes.ErrCompacted)
	}
	before := write(100) - 40
	compact(before)
	o := observe(t, configFor(endpoint))
	o.Eventually(t, "both watches", watchedBy(endpoint, 2)) // One that is opened late finds a gap.
	o.Eventually(t, "the one of before", o.HasValue(before, "etcd.compact_revision"))
	for _, back := range []int64{1, 7, 0} { // 0: all of the history
		revision := write(20) - back
		compact(revision)
		o.Eventually(t, "a compaction", o.HasEvent("etcd.compaction", "etcd.compact_revision", strconv.FormatInt(revision, 10)))
		o.Eventually(t, "the oldest revision", o.HasValue(revision, "etcd.compact_revision"))
	}
	o.Eventually(t, "revisions", o.HasValue(60, "etcd.writes"))
	_, err := client.Defragment(t.Context(), endpoint)
	require.NoError(t, err)
	requireNoProposals(t, client, endpoint)
	assert.Len(t, o.Events(""), 3)
	assert.Equal(t, plog.SeverityNumberInfo, o.Events("etcd.compaction")[0].SeverityNumber())
	assert.Empty(t, o.Trouble())
}

// One that hangs from the start delays the metrics of the others for a second, not
// until its request fails.
func TestAMemberThatNeverAnswered(t *testing.T) {
	etcd, _ := startEtcd(t, lab.ServerOptions{Members: 1})
	hangs := observedtest.Hang(t)
	cfg := clusterOnly(hangs, etcd.Endpoints[0])
	cfg.Scrape.Timeout = time.Hour
	patient := observe(t, cfg)
	patient.Eventually(t, "up", patient.has("etcd.member.up", etcd.Endpoints[0], 1))
	o := observe(t, clusterOnly(hangs, etcd.Endpoints[0]))
	o.Eventually(t, "down", o.has("etcd.member.up", hangs, 0))
	o.Eventually(t, "the cluster", o.roles(1, 0))
}

func TestAMemberThatHangs(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 3})
	o := observe(t, clusterOnly(etcd.Endpoints...))
	for _, endpoint := range etcd.Endpoints {
		o.Eventually(t, "up", o.has("etcd.member.up", endpoint, 1))
	}
	o.Eventually(t, "the members", o.roles(3, 0))
	leader, id := leadingMember(t, client, etcd.Endpoints)
	if err := etcd.Members[leader].Process().Suspend(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	resumed := false
	defer func() {
		if !resumed {
			_ = etcd.Members[leader].Process().Resume()
		}
	}()
	began := time.Now()
	o.Eventually(t, "another leader", o.elects(id))
	t.Logf("reported %s after the leader was halted", time.Since(began))
	o.Eventually(t, "it is down", o.has("etcd.member.up", etcd.Endpoints[leader], 0))
	o.Eventually(t, "it is said", func() bool { return o.Warnings(collect.StatusOf+address.HostPort(etcd.Endpoints[leader])) == 1 })
	assert.Zero(t, o.Warnings(collect.StatusOf+address.HostPort(etcd.Endpoints[(leader+1)%3])))
	status, err := client.Status(t.Context(), etcd.Endpoints[(leader+1)%3])
	require.NoError(t, err)
	o.Eventually(t, "the others are observed", func() bool {
		index, _ := o.value("etcd.raft.index", etcd.Endpoints[(leader+1)%3])
		return index >= int64(status.RaftIndex)
	})
	o.Eventually(t, "the list of members", o.roles(3, 0))

	resumed = true
	require.NoError(t, etcd.Members[leader].Process().Resume())
	o.Eventually(t, "it is up", o.has("etcd.member.up", etcd.Endpoints[leader], 1))
	o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
}

func TestARestartOfTheCollector(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 1})
	folder := t.TempDir()
	run := func(t *testing.T) *observed {
		cfg := clusterOnly(etcd.Endpoints...)
		cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
		id, host := observedtest.FileStorage(t, folder)
		cfg.Storage = &id
		return &observed{observedtest.StartOn(t, host, NewFactory(), cfg)}
	}
	t.Run("before", func(t *testing.T) {
		o := run(t)
		o.Eventually(t, "the members", o.roles(1, 0))
		o.Eventually(t, "the oldest revision", o.HasValue(1, "etcd.compact_revision"))
		time.Sleep(500 * time.Millisecond) // It is kept after it was reported.
		assert.Empty(t, o.Events(""))
	})
	added, err := client.MemberAddAsLearner(t.Context(), []string{"http://127.0.0.1:1"})
	require.NoError(t, err)
	answer, err := client.Put(t.Context(), "/a", "")
	require.NoError(t, err)
	_, err = client.Compact(t.Context(), answer.Header.Revision)
	require.NoError(t, err)
	o := run(t)
	o.Eventually(t, "what happened meanwhile", o.HasEvent("etcd.member.added", subject, collect.Hex(added.Member.ID), "observation.reconciled", "true"))
	o.Eventually(t, "the compaction", o.HasEvent("etcd.compaction"))
	assert.Len(t, o.Events(""), 2)
}

func TestMetricsGoOnWhileEventsAreRefused(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 1})
	o := observe(t, clusterOnly(etcd.Endpoints...))
	o.Eventually(t, "the members", o.roles(1, 0))
	o.Refuse(true)
	_, err := client.MemberAddAsLearner(t.Context(), []string{"http://127.0.0.1:1"})
	require.NoError(t, err)
	o.Eventually(t, "the learner is counted", o.roles(1, 1))
	answer, err := client.Put(t.Context(), "/a", "")
	require.NoError(t, err)
	o.Eventually(t, "the revision", o.has("etcd.revision", etcd.Endpoints[0], answer.Header.Revision))
	require.NoError(t, etcd.Members[0].Kill())
	o.Eventually(t, "it is down", o.has("etcd.member.up", etcd.Endpoints[0], 0))
	o.Eventually(t, "whether there is a leader is not known", func() bool { return !o.HasMetric("etcd.raft.has_leader") })
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	o.Eventually(t, "it is up", o.has("etcd.member.up", etcd.Endpoints[0], 1))
	assert.Empty(t, o.Events(""))
	o.Refuse(false)
	o.Eventually(t, "what was held", o.HasEvent("etcd.member.added"))
	o.Eventually(t, "the election meanwhile", o.HasEvent(elected))
}

func TestAUserThatMayNotRead(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 1})
	withAuth(t, etcd.Endpoints[0], client)
	cfg := clusterOnly(etcd.Endpoints...)
	cfg.Username, cfg.Password = "otel", "pa55word"
	o := observe(t, cfg)
	o.Eventually(t, "the members", o.roles(1, 0))
	o.Eventually(t, "no alarm", o.HasValue(0, "etcd.alarm.count", "etcd.alarm.type", "nospace"))
	require.Never(t, func() bool { return o.HasMetric("etcd.compact_revision") }, time.Second, 50*time.Millisecond)
	assert.Empty(t, o.Trouble())
	assert.Zero(t, o.Warnings(compaction.Condition))

	cfg = clusterOnly(etcd.Endpoints...)
	cfg.Username, cfg.Password = "otel", "pa55word"
	cfg.Locks.Prefixes = []string{"/locks/"}
	reader := observe(t, cfg)
	reader.Eventually(t, "under a prefix that may be read", reader.HasValue(1, "etcd.compact_revision"))
}

func TestEndpointsOfTwoClusters(t *testing.T) {
	first, _ := startEtcd(t, lab.ServerOptions{Members: 1})
	second, client := startEtcd(t, lab.ServerOptions{Members: 1})
	o := observe(t, clusterOnly(first.Endpoints[0], second.Endpoints[0]))
	o.Eventually(t, "it is said", func() bool { return strings.Contains(o.Trouble(), collect.ErrMixed.Error()) })
	_, err := client.MemberAddAsLearner(t.Context(), []string{"http://127.0.0.1:1"})
	require.NoError(t, err)
	o.Eventually(t, "the first one is followed", o.roles(1, 0))
	for _, endpoint := range slices.Concat(first.Endpoints, second.Endpoints) {
		o.Eventually(t, "both are up", o.has("etcd.member.up", endpoint, 1))
	}
	assert.Empty(t, o.Events(""))
}
