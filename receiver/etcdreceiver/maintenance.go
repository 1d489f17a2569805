// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// Status asks the one endpoint of the client for its status, on a connection
// that stays, unlike that of clientv3's Status.
func (c *client) Status(ctx context.Context) (state.Member, error) {
	var answer *etcdserverpb.StatusResponse
	var asked time.Time
	err := c.ask(ctx, metadata.AttributeRequestStatus, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		asked = time.Now()
		answer, err = statusOfMember(ctx, etcd)
		return err
	})
	if err != nil {
		return state.Member{}, err
	}
	return state.Member{
		Cluster:          answer.Header.ClusterId,
		ID:               answer.Header.MemberId,
		LeaderID:         answer.Leader,
		Version:          answer.Version,
		Learner:          answer.IsLearner,
		DBSize:           answer.DbSize,
		DBSizeInUse:      answer.DbSizeInUse,
		DBQuota:          answer.DbSizeQuota,
		RaftTerm:         answer.RaftTerm,
		RaftIndex:        answer.RaftIndex,
		RaftAppliedIndex: answer.RaftAppliedIndex,
		Revision:         answer.Header.Revision,
		Errors:           complaints(answer.Errors),
		Duration:         time.Since(asked),
	}, nil
}

// statusOfMember fails at once when there is no connection.
func statusOfMember(ctx context.Context, etcd *clientv3.Client) (*etcdserverpb.StatusResponse, error) {
	maintenance := clientv3.RetryMaintenanceClient(etcd, etcd.ActiveConnection())
	return maintenance.Status(ctx, &etcdserverpb.StatusRequest{}, grpc.WaitForReady(false))
}

// complaints joins what a member complains of: its alarms, as text that is no
// interface, so it can tell only that something changed.
func complaints(errs []string) string {
	noLeader := rpctypes.ErrNoLeader.Error()
	errs = slices.DeleteFunc(slices.Clone(errs), func(err string) bool { return err == noLeader })
	slices.Sort(errs)
	return strings.Join(errs, "\n")
}

// Peers returns the members of the cluster by their IDs, as its leader knows them.
func (c *client) Peers(ctx context.Context) (map[uint64]state.Peer, error) {
	var answer *clientv3.MemberListResponse
	err := c.ask(ctx, metadata.AttributeRequestMembers, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		answer, err = etcd.MemberList(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	peers := make(map[uint64]state.Peer, len(answer.Members))
	for _, m := range answer.Members {
		peers[m.ID] = state.Peer{Name: m.Name, Learner: m.IsLearner}
	}
	return peers, nil
}

// Alarms returns the alarms that are raised. Each such request is a proposal
// to raft, so it is made only when there is something to learn.
func (c *client) Alarms(ctx context.Context) (map[state.Alarm]struct{}, error) {
	var answer *clientv3.AlarmResponse
	err := c.ask(ctx, metadata.AttributeRequestAlarms, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		answer, err = etcd.AlarmList(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	alarms := make(map[state.Alarm]struct{}, len(answer.Alarms))
	for _, a := range answer.Alarms {
		alarms[state.Alarm{Member: a.MemberID, Type: alarmType(a.Alarm)}] = struct{}{}
	}
	return alarms, nil
}

func alarmType(t etcdserverpb.AlarmType) state.AlarmType {
	switch t {
	case etcdserverpb.AlarmType_NOSPACE:
		return state.NoSpace
	case etcdserverpb.AlarmType_CORRUPT:
		return state.Corrupt
	default:
		return state.UnknownAlarm
	}
}

// OldestRevision returns the oldest revision that can still be read, given the
// one that was it before, or 0. No request tells it, but a read of an older one
// is refused. Where the user may not read the key, the answer is 0.
func (c *client) OldestRevision(ctx context.Context, key string, before int64) (int64, error) {
	var revision int64
	err := c.ask(ctx, metadata.AttributeRequestCompaction, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		revision, err = oldestRevision(before, func(revision int64) (int64, error) {
			answer, err := etcd.Get(ctx, key, clientv3.WithRev(revision), clientv3.WithCountOnly())
			if err != nil {
				return 0, err
			}
			return answer.Header.Revision, nil
		})
		return err
	})
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return 0, nil
	}
	return revision, err
}

// oldestRevision searches for the oldest revision that read does not refuse as
// compacted; read returns the newest one, which it reads when asked for 0.
// Compactions can go on meanwhile, so what was found is read once more.
func oldestRevision(before int64, read func(revision int64) (int64, error)) (int64, error) {
	for oldest := max(before, 1); ; {
		_, err := read(oldest)
		switch {
		case errors.Is(err, rpctypes.ErrFutureRev): // The history is that of a restored backup.
			oldest = 1
			continue
		case !errors.Is(err, rpctypes.ErrCompacted):
			return oldest, err
		}
		newest, err := read(0)
		if err != nil {
			return 0, err
		}
		compacted := oldest
		for oldest = newest; oldest-compacted > 1; {
			middle := compacted + (oldest-compacted)/2
			switch _, err := read(middle); {
			case err == nil:
				oldest = middle
			case errors.Is(err, rpctypes.ErrCompacted):
				compacted = middle
			default:
				return 0, err
			}
		}
	}
}
