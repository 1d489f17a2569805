// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// lackError is the error of an answer without the data that was asked for. To
// protobuf each field may be missing, so an empty message would be an empty list.
type lackError struct{ method, field string }

func (e *lackError) Error() string {
	return fmt.Sprintf("%s: the answer is not etcd's, check endpoints: it lacks %s", e.method, e.field)
}

// GRPCStatus is one that the client of etcd neither retries nor waits for.
func (e *lackError) GRPCStatus() *status.Status { return status.New(codes.DataLoss, e.Error()) }

// checkedAnswers are options of a connection on which answers are checked before
// the client of etcd uses them: it relies on what may be missing.
func checkedAnswers() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			if err := invoke(ctx, method, request, answer, conn, options...); err != nil {
				return err
			}
			return check(method, request, answer)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			if err := streamsOf(ctx).open(ctx); err != nil {
				return nil, err
			}
			stream, err := open(ctx, desc, conn, method, options...)
			return &checkedStream{ClientStream: stream, method: method, streams: streamsOf(ctx)}, err
		}),
	}
}

type checkedStream struct {
	grpc.ClientStream
	method  string
	streams *streams // of a watch, which a stream has one of
	ended   bool     // the watch has
}

func (s *checkedStream) RecvMsg(answer any) error {
	err := s.ClientStream.RecvMsg(answer)
	if err == nil {
		err = check(s.method, nil, answer)
	}
	if s.ended && err == nil {
		err = &lackError{s.method, "a watch"} // clientv3 would panic, if it ended again.
	}
	if response, is := answer.(*etcdserverpb.WatchResponse); is && err == nil {
		s.ended = response.Canceled
		err = refused(response)
	}
	s.streams.received(answer, err)
	return err
}

// refused returns the error of a watch that was not opened, and that the stream is to
// end with: clientv3 would get stuck if that failed at the same time.
func refused(response *etcdserverpb.WatchResponse) error {
	if !response.Created || !response.Canceled && response.WatchId != clientv3.InvalidWatchID {
		return nil
	}
	err := reason(errors.New(cmp.Or(response.CancelReason, "the watch was refused")))
	return status.Error(codes.FailedPrecondition, err.Error()) // which clientv3 does not retry
}

func check(method string, request, answer any) error {
	if lacks := lacking(request, answer); lacks != "" {
		return &lackError{method, lacks}
	}
	return nil
}

// lacking returns what an answer lacks, or nothing.
func lacking(request, answer any) string {
	switch a := answer.(type) {
	case *etcdserverpb.WatchResponse:
		return lackingOfWatch(a)
	case interface {
		GetHeader() *etcdserverpb.ResponseHeader
	}:
		if a.GetHeader().GetClusterId() == 0 {
			return "the ID of a cluster"
		}
	}
	switch a := answer.(type) {
	case *etcdserverpb.AuthenticateResponse:
		return when(a.Token == "", "a token")
	case *etcdserverpb.StatusResponse:
		return cmp.Or(when(a.Header.MemberId == 0, "the ID of a member"), when(a.Version == "", "a version"))
	case *etcdserverpb.RangeResponse:
		return lackingOfRange(request, a)
	case *etcdserverpb.MemberListResponse:
		unnamed := func(m *etcdserverpb.Member) bool { return m.ID == 0 }
		return cmp.Or(when(len(a.Members) == 0, "members"), when(slices.ContainsFunc(a.Members, unnamed), "the ID of a member"))
	case *etcdserverpb.AlarmResponse:
		unnamed := func(m *etcdserverpb.AlarmMember) bool { return m.MemberID == 0 }
		return when(slices.ContainsFunc(a.Alarms, unnamed), "the member of an alarm")
	case *etcdserverpb.LeaseLeasesResponse:
		unnamed := func(l *etcdserverpb.LeaseStatus) bool { return l.ID == 0 }
		return when(slices.ContainsFunc(a.Leases, unnamed), "the ID of a lease")
	case *etcdserverpb.LeaseTimeToLiveResponse:
		asked, _ := request.(*etcdserverpb.LeaseTimeToLiveRequest)
		// One that there is not has a negative TTL.
		return cmp.Or(when(a.ID != asked.GetID(), "the lease"), when(a.GrantedTTL == 0 && a.TTL >= 0, "a TTL"))
	}
	return ""
}

func when(lacks bool, what string) string {
	if lacks {
		return what
	}
	return ""
}

func lackingOfRange(request any, a *etcdserverpb.RangeResponse) string {
	asked, _ := request.(*etcdserverpb.RangeRequest)
	keys := int64(len(a.Kvs))
	return cmp.Or(
		when(a.Header.Revision == 0, "a revision"),
		when(!asked.GetCountOnly() && asked.GetMinModRevision() == 0 && keys == 0 && (a.Count > 0 || a.More), "keys"),
		when(a.Count < keys, "the number of keys"),
		when(slices.ContainsFunc(a.Kvs, func(kv *mvccpb.KeyValue) bool { return unnamed(kv) || kv.CreateRevision == 0 }), "a key"),
	)
}

func unnamed(kv *mvccpb.KeyValue) bool { return len(kv.GetKey()) == 0 || kv.GetModRevision() == 0 }

// lackingOfWatch leaves out what a grpc-proxy leaves out: an answer that refuses a
// watch has an empty header, and one that opens a watch may have no ID of a cluster.
func lackingOfWatch(a *etcdserverpb.WatchResponse) string {
	if a.Canceled {
		return ""
	}
	return cmp.Or(
		when(a.GetHeader().GetRevision() == 0, "a revision"),
		when(!a.Created && a.GetHeader().GetClusterId() == 0, "the ID of a cluster"),
		when(slices.ContainsFunc(a.Events, func(e *mvccpb.Event) bool { return unnamed(e.GetKv()) }), "the key of an event"),
	)
}
