// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Lease is what etcd answered about one lease, to a request that was sent at At and
// answered by By. TTL is 0 when there is no such lease: one that has expired and is not
// revoked yet has a Remaining below 0, too.
type Lease struct {
	ID             int64
	At, By         time.Time
	TTL, Remaining int64 // in seconds
}

// Lease reads one lease, which is a request to the leader. It also returns the ID of
// the cluster.
func (c *Client) Lease(ctx context.Context, id int64) (lease Lease, cluster uint64, err error) {
	lease = Lease{ID: id, At: time.Now()}
	err = c.do(ctx, requestLease, func(ctx context.Context, etcd *clientv3.Client) error {
		reply, err := etcd.TimeToLive(clientv3.WithRequireLeader(ctx), clientv3.LeaseID(id))
		if err != nil {
			return err
		}
		lease.TTL, lease.Remaining, cluster = reply.GrantedTTL, reply.TTL, reply.ClusterId
		return nil
	})
	lease.By = time.Now()
	return lease, cluster, err
}

// LeaseList is a list of all leases, as one member knows them.
type LeaseList struct {
	IDs             []int64
	Cluster, Member uint64
	Revision        int64 // that the member had reached when it had made the list, or after
}

// Leases lists all leases.
func (c *Client) Leases(ctx context.Context) (list LeaseList, err error) {
	err = c.do(ctx, requestLeases, func(ctx context.Context, etcd *clientv3.Client) error {
		reply, err := etcd.Leases(clientv3.WithRequireLeader(ctx))
		if err != nil {
			return err
		}
		list = LeaseList{
			IDs: make([]int64, len(reply.Leases)), Cluster: reply.ClusterId, Member: reply.MemberId, Revision: reply.Revision,
		}
		for i, l := range reply.Leases {
			list.IDs[i] = int64(l.ID)
		}
		return nil
	})
	return list, err
}
