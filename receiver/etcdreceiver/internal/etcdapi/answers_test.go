// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdtest"
)

// serveWire serves whatever methods with answers that are given as they are on the
// wire, and returns its endpoint. A stream stays open.
func serveWire(t *testing.T, answer func(method string) []byte) string {
	t.Helper()
	return etcdtest.Serve(t, func(stream grpc.ServerStream) error {
		var request []byte
		for {
			if err := stream.RecvMsg(&request); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			method, _ := grpc.MethodFromServerStream(stream)
			message := answer(method)
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
			if method != etcdserverpb.Watch_Watch_FullMethodName {
				return nil
			}
		}
	})
}

// newTestClient returns a client whose requests may take so long.
func newTestClient(t *testing.T, timeout time.Duration, endpoint string) *Client {
	t.Helper()
	c := New(t.Context(), Options{DialTimeout: DefaultTimeout, KeepaliveTime: time.Minute, KeepaliveTimeout: time.Minute, Timeout: timeout}, endpoint)
	t.Cleanup(c.Close)
	return c
}

func header() *etcdserverpb.ResponseHeader {
	return &etcdserverpb.ResponseHeader{ClusterId: 1, MemberId: 2, Revision: 10, RaftTerm: 3}
}

func keyValue() *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: []byte("/app/a"), CreateRevision: 9, ModRevision: 10, Version: 1}
}

// requestTo is a request that the receiver makes.
type requestTo struct {
	method string
	read   func(*testing.T, *Client) (any, error)
	full   proto.Message
	// empty are answers of an etcd that has nothing, if there is such a thing.
	empty []proto.Message
	// lacking are answers that lack something but their header.
	lacking []proto.Message
}

var allRequests = []requestTo{
	{
		method: etcdserverpb.Maintenance_Status_FullMethodName,
		read:   func(t *testing.T, c *Client) (any, error) { return c.Status(t.Context()) },
		full:   &etcdserverpb.StatusResponse{Header: header(), Version: "3.7.3", DbSize: 1, Leader: 2, RaftIndex: 1, RaftTerm: 3},
		empty:  []proto.Message{&etcdserverpb.StatusResponse{Header: header(), Version: "3.7.3", Errors: []string{"etcdserver: no leader"}}},
		lacking: []proto.Message{
			&etcdserverpb.StatusResponse{Header: header()},
			&etcdserverpb.StatusResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1, Revision: 10}, Version: "3.7.3"},
		},
	},
	{
		method: etcdserverpb.Cluster_MemberList_FullMethodName,
		read:   func(t *testing.T, c *Client) (any, error) { return c.Members(t.Context()) },
		full:   &etcdserverpb.MemberListResponse{Header: header(), Members: []*etcdserverpb.Member{{ID: 2, Name: "lab"}}},
		lacking: []proto.Message{
			&etcdserverpb.MemberListResponse{Header: header()},
			&etcdserverpb.MemberListResponse{Header: header(), Members: []*etcdserverpb.Member{{ID: 2}, {Name: "of a proxy"}}},
		},
	},
	{
		method:  etcdserverpb.Maintenance_Alarm_FullMethodName,
		read:    func(t *testing.T, c *Client) (any, error) { return c.Alarms(t.Context()) },
		full:    &etcdserverpb.AlarmResponse{Header: header(), Alarms: []*etcdserverpb.AlarmMember{{MemberID: 2, Alarm: etcdserverpb.AlarmType_NOSPACE}}},
		empty:   []proto.Message{&etcdserverpb.AlarmResponse{Header: header()}},
		lacking: []proto.Message{&etcdserverpb.AlarmResponse{Header: header(), Alarms: []*etcdserverpb.AlarmMember{{}}}},
	},
	{
		method: etcdserverpb.Lease_LeaseLeases_FullMethodName,
		read: func(t *testing.T, c *Client) (any, error) {
			list, err := c.Leases(t.Context())
			return list.IDs, err
		},
		full:    &etcdserverpb.LeaseLeasesResponse{Header: header(), Leases: []*etcdserverpb.LeaseStatus{{ID: 7}}},
		empty:   []proto.Message{&etcdserverpb.LeaseLeasesResponse{Header: header()}},
		lacking: []proto.Message{&etcdserverpb.LeaseLeasesResponse{Header: header(), Leases: []*etcdserverpb.LeaseStatus{{ID: 7}, {}}}},
	},
	{
		method: etcdserverpb.Lease_LeaseTimeToLive_FullMethodName,
		read: func(t *testing.T, c *Client) (any, error) {
			lease, _, err := c.Lease(t.Context(), 7)
			if err != nil {
				return nil, err
			}
			return lease, nil
		},
		full:  &etcdserverpb.LeaseTimeToLiveResponse{Header: header(), ID: 7, TTL: 50, GrantedTTL: 60},
		empty: []proto.Message{&etcdserverpb.LeaseTimeToLiveResponse{Header: header(), ID: 7, TTL: -1}},
		lacking: []proto.Message{
			&etcdserverpb.LeaseTimeToLiveResponse{Header: header()},
			&etcdserverpb.LeaseTimeToLiveResponse{Header: header(), ID: 8, TTL: -1},
			&etcdserverpb.LeaseTimeToLiveResponse{Header: header(), ID: 7},
		},
	},
	{
		method: etcdserverpb.KV_Range_FullMethodName,
		read: func(t *testing.T, c *Client) (any, error) {
			var keys []Key
			_, err := c.List(t.Context(), "/app/", 0, func(key Key) bool {
				keys = append(keys, key)
				return true
			})
			return keys, err
		},
		full:  &etcdserverpb.RangeResponse{Header: header(), Kvs: []*mvccpb.KeyValue{keyValue()}, Count: 1},
		empty: []proto.Message{&etcdserverpb.RangeResponse{Header: header()}},
		lacking: []proto.Message{
			&etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 3}},
			&etcdserverpb.RangeResponse{Header: header(), Count: 5},
			&etcdserverpb.RangeResponse{Header: header(), More: true},
			&etcdserverpb.RangeResponse{Header: header(), Kvs: []*mvccpb.KeyValue{keyValue()}},
			&etcdserverpb.RangeResponse{Header: header(), Kvs: []*mvccpb.KeyValue{{}}, Count: 1},
			&etcdserverpb.RangeResponse{Header: header(), Kvs: []*mvccpb.KeyValue{{Key: []byte("/app/a")}}, Count: 1},
		},
	},
	{
		method: etcdserverpb.KV_Range_FullMethodName,
		read: func(t *testing.T, c *Client) (any, error) {
			_, revision, err := c.Revision(t.Context(), "/app/")
			return revision, err
		},
		full:    &etcdserverpb.RangeResponse{Header: header(), Count: 1},
		lacking: []proto.Message{&etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 3}}},
	},
	{
		method: etcdserverpb.KV_Range_FullMethodName,
		read: func(t *testing.T, c *Client) (any, error) {
			oldest, err := c.OldestRevision(t.Context(), "/app/", 4)
			if err != nil {
				return nil, err
			}
			return oldest, nil
		},
		full:    &etcdserverpb.RangeResponse{Header: header(), Count: 1},
		lacking: []proto.Message{&etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 3}}},
	},
	{
		method: etcdserverpb.Watch_Watch_FullMethodName,
		read: func(t *testing.T, c *Client) (any, error) {
			w, err := c.Watch(t.Context(), "/app/", 11, false)
			if err != nil {
				return nil, err
			}
			defer w.Close()
			opened, err := w.Next()
			if err != nil {
				return nil, err
			}
			return opened, nil
		},
		full: &etcdserverpb.WatchResponse{Header: header(), Created: true},
		lacking: []proto.Message{
			&etcdserverpb.WatchResponse{Created: true},
			&etcdserverpb.WatchResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1}, Created: true},
			&etcdserverpb.WatchResponse{Header: header(), Created: true, Events: []*mvccpb.Event{{}}},
			&etcdserverpb.WatchResponse{Header: header(), Created: true, Events: []*mvccpb.Event{{Kv: &mvccpb.KeyValue{}}}},
			&etcdserverpb.WatchResponse{Header: header(), Created: true, Events: []*mvccpb.Event{{Kv: &mvccpb.KeyValue{Key: []byte("/app/a")}}}},
		},
	},
}

// become returns what becomes of an answer to a request.
func (a requestTo) become(t *testing.T, message []byte) (any, error) {
	t.Helper()
	endpoint := serveWire(t, func(method string) []byte {
		// A watch that cannot be opened in time has it asked why.
		assert.Contains(t, []string{a.method, etcdserverpb.Maintenance_Status_FullMethodName}, method)
		return message
	})
	c := newTestClient(t, 2*time.Second, endpoint)
	defer c.Close()
	return a.read(t, c)
}

func marshal(t testing.TB, message proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(message)
	require.NoError(t, err)
	return data
}

func TestAnAnswerWithoutItsDataIsAnError(t *testing.T) {
	for _, a := range allRequests {
		t.Run(strings.TrimPrefix(a.method, "/"), func(t *testing.T) {
			for _, legitimate := range append(a.empty, a.full) {
				_, err := a.become(t, marshal(t, legitimate))
				require.NoError(t, err, "%v", legitimate)
			}
			anonymous := proto.Clone(a.full)
			anonymous.(interface {
				GetHeader() *etcdserverpb.ResponseHeader
			}).GetHeader().ClusterId = 0
			wrong := [][]byte{nil}
			if a.method != etcdserverpb.Watch_Watch_FullMethodName { // A grpc-proxy opens watches so.
				wrong = append(wrong, marshal(t, anonymous))
			}
			for _, message := range a.lacking {
				wrong = append(wrong, marshal(t, message))
			}
			for _, message := range wrong {
				got, err := a.become(t, message)
				require.Error(t, err, "%q became %v", message, got)
				require.ErrorContains(t, err, a.method+": the answer is not etcd's, check endpoints: it lacks ")
				assert.Empty(t, got)
			}
			for name, message := range map[string][]byte{
				"a page": []byte("<!DOCTYPE html>\n<html></html>\n"), "JSON": []byte(`{}`), "half of it": marshal(t, a.full)[:5],
			} {
				got, err := a.become(t, message)
				require.Error(t, err, "%s became %v", name, got)
				assert.Empty(t, got)
			}
		})
	}
}

// With a user, the answer to the login is checked, too.
func TestALoginIsAnsweredCompletely(t *testing.T) {
	t.Parallel()
	login := func(message *etcdserverpb.AuthenticateResponse) error {
		endpoint := serveWire(t, func(string) []byte { return marshal(t, message) })
		c := New(t.Context(), Options{
			Username: "u", Password: tokenfile.Source{Token: "p"},
			DialTimeout: DefaultTimeout, KeepaliveTime: time.Minute, KeepaliveTimeout: time.Minute, Timeout: DefaultTimeout,
		}, endpoint)
		defer c.Close()
		_, err := c.connect()
		return err
	}
	require.NoError(t, login(&etcdserverpb.AuthenticateResponse{Header: header(), Token: "t"}))
	require.ErrorContains(t, login(&etcdserverpb.AuthenticateResponse{}), "the answer is not etcd's, check endpoints: it lacks the ID of a cluster")
	require.ErrorContains(t, login(&etcdserverpb.AuthenticateResponse{Header: header()}), "the answer is not etcd's, check endpoints: it lacks a token")
}

// FuzzAnswer has arbitrary answers never become a cluster with nothing in it, nor
// panic in the client of etcd.
func FuzzAnswer(f *testing.F) {
	for i, a := range allRequests {
		for _, message := range append(append(a.lacking, a.empty...), a.full) {
			f.Add(uint8(i), marshal(f, message))
		}
		f.Add(uint8(i), []byte(nil))
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		a := allRequests[int(which)%len(allRequests)]
		message := proto.Clone(a.full)
		proto.Reset(message)
		if proto.Unmarshal(text, message) != nil {
			return
		}
		if a.method == etcdserverpb.Watch_Watch_FullMethodName { // A stream goes on, whatever comes.
			if check(a.method, nil, message) == nil {
				response := message.(*etcdserverpb.WatchResponse)
				require.True(t, response.Canceled || response.Header.Revision != 0)
				_ = slices.Collect(changesOf(response.Events))
			}
			return
		}
		got, err := a.become(t, text)
		if err != nil {
			require.Empty(t, got)
			return
		}
		require.NotZero(t, message.(interface {
			GetHeader() *etcdserverpb.ResponseHeader
		}).GetHeader().GetClusterId())
		if members, ok := got.([]Member); ok {
			require.NotEmpty(t, members)
		}
	})
}
