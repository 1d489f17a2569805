// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// Status is what a member of the cluster reports of itself.
type Status struct {
	Cluster, ID uint64
	LeaderID    uint64 // of the member that it follows; 0: none
	Version     string // of etcd
	Learner     bool

	DBSize, DBSizeInUse int64
	DBQuota             int64 // 0: not known

	RaftTerm         uint64 // of the last entry that it has applied
	RaftIndex        uint64
	RaftAppliedIndex uint64
	Revision         int64

	Errors   string        // what it reports, other than having no leader; empty: nothing
	Duration time.Duration // that it took to answer
}

// Leads reports whether the member is the leader.
func (s Status) Leads() bool { return s.LeaderID == s.ID }

// Status reads the status of the one endpoint of the client, on a connection that
// stays, unlike that of clientv3's Status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var answer *etcdserverpb.StatusResponse
	var sent time.Time
	err := c.do(ctx, requestStatus, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		sent = time.Now()
		answer, err = statusOfMember(ctx, etcd)
		return err
	})
	if err != nil {
		return Status{}, err
	}
	c.options.Applied.observe(answer.Header.ClusterId, answer.RaftAppliedIndex)
	return Status{
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
		Errors:           reported(answer.Errors),
		Duration:         time.Since(sent),
	}, nil
}

// statusOfMember fails at once when there is no connection.
func statusOfMember(ctx context.Context, etcd *clientv3.Client) (*etcdserverpb.StatusResponse, error) {
	maintenance := clientv3.RetryMaintenanceClient(etcd, etcd.ActiveConnection())
	return maintenance.Status(ctx, &etcdserverpb.StatusRequest{}, grpc.WaitForReady(false))
}

// reported joins the errors that a member reports: its alarms, as text that is no
// interface, so it can show only that something changed.
func reported(errs []string) string {
	noLeader := rpctypes.ErrNoLeader.Error()
	errs = slices.DeleteFunc(slices.Clone(errs), func(err string) bool { return err == noLeader })
	slices.Sort(errs)
	return strings.Join(errs, "\n")
}

// Member is a member of the cluster, as its leader knows it.
type Member struct {
	ID      uint64
	Name    string // empty until it has started once
	Learner bool
}

// Members returns the members of the cluster, as its leader knows them.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var answer *clientv3.MemberListResponse
	err := c.do(ctx, requestMembers, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		answer, err = etcd.MemberList(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	members := make([]Member, len(answer.Members))
	for i, m := range answer.Members {
		members[i] = Member{ID: m.ID, Name: m.Name, Learner: m.IsLearner}
	}
	return members, nil
}

// AlarmType is what an alarm is about.
type AlarmType string

// The alarms that there are. While there is one of NoSpace, etcd takes no writes.
const (
	NoSpace      AlarmType = "nospace"
	Corrupt      AlarmType = "corrupt"
	UnknownAlarm AlarmType = "unknown"
)

// Alarm is one that is raised.
type Alarm struct {
	Member uint64 // ID of the member that raised it
	Type   AlarmType
}

// Alarms returns the alarms that are raised. Each such request is a proposal
// to raft, so it is made only when there is something to learn.
func (c *Client) Alarms(ctx context.Context) ([]Alarm, error) {
	var answer *clientv3.AlarmResponse
	err := c.do(ctx, requestAlarms, func(ctx context.Context, etcd *clientv3.Client) (err error) {
		answer, err = etcd.AlarmList(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	alarms := make([]Alarm, len(answer.Alarms))
	for i, a := range answer.Alarms {
		alarms[i] = Alarm{Member: a.MemberID, Type: alarmType(a.Alarm)}
	}
	return alarms, nil
}

func alarmType(t etcdserverpb.AlarmType) AlarmType {
	switch t {
	case etcdserverpb.AlarmType_NOSPACE:
		return NoSpace
	case etcdserverpb.AlarmType_CORRUPT:
		return Corrupt
	default:
		return UnknownAlarm
	}
}
