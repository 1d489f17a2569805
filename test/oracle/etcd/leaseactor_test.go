// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// leaser grants leases, attaches keys to them, and has them end in every way.
func (s *system) leaser(number int) oracle.Actor {
	name := fmt.Sprintf("leaser-%d", number)
	act := func(ctx context.Context, random *rand.Rand) string {
		kind, keys, pause := random.IntN(7), 1+random.IntN(5), time.Duration(random.Int64N(int64(600*time.Millisecond)))
		expires := random.IntN(3) == 0
		ttl := int64(60)
		if expires {
			ttl = shortLease
		}
		asking, enough := context.WithTimeout(ctx, request)
		grant, err := s.client.Grant(asking, ttl)
		enough()
		if err != nil {
			return failed("", err)
		}
		lease := int64(grant.ID)
		s.granted(lease, ttl)
		if expires {
			s.leaseEnds(lease, leaseExpired) // As soon as its time is over, even if it is to be kept alive.
		}
		put := func(name string, options ...clientv3.OpOption) {
			asking, enough := context.WithTimeout(ctx, request)
			defer enough()
			_, _ = s.client.Put(asking, name, "", options...)
		}
		with := clientv3.WithLease(grant.ID)
		what := "lease with keys"
		switch kind {
		case 0:
			what = "lease without keys"
		case 1:
			what = "lease with keys that are not observed"
			put(prefixOther+name, with)
		case 2:
			what = "lease that loses its key to another one"
			put(prefixApp+name+"/moves", with)
			oracle.Sleep(ctx, pause)
			put(prefixApp + name + "/moves")
		case 3:
			what = "lease whose key is deleted"
			s.detached(lease)
			put(prefixApp+name+"/deleted", with)
			oracle.Sleep(ctx, pause)
			_ = s.remove(ctx, prefixApp+name+"/deleted")
		case 4:
			what = "lease kept alive"
			put(prefixDeep+name, with)
			for range 3 {
				oracle.Sleep(ctx, pause)
				asking, enough := context.WithTimeout(ctx, request)
				_, _ = s.client.KeepAliveOnce(asking, grant.ID)
				enough()
			}
		default:
			var ops []clientv3.Op
			for i := range keys {
				place := []string{prefixApp, prefixDeep, prefixOther}[i%3]
				ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%s/%d", place, name, i), "value", with))
			}
			asking, enough := context.WithTimeout(ctx, request)
			_, _ = s.client.Txn(asking).Then(ops...).Commit()
			enough()
		}
		oracle.Sleep(ctx, pause)
		if expires {
			return failed(what+", expired", s.gone(ctx, lease))
		}
		err = s.insist(ctx, func(ctx context.Context) error { return notFound(s.revoke(ctx, lease)) })
		return failed(what+", revoked", err)
	}
	return oracle.Actor{Name: name, Pause: time.Second, Act: act}
}

// heartbeat is the time to live of the lease of a heartbeat, in seconds.
const heartbeat = 10

// heart has some clients put a key each with a new lease, again and again, and never renews
// one.
func (s *system) heart(number, clients int) oracle.Actor {
	next := 0
	act := func(ctx context.Context, _ *rand.Rand) string {
		next++
		asking, enough := context.WithTimeout(ctx, request)
		defer enough()
		grant, err := s.client.Grant(asking, heartbeat)
		if err != nil {
			return failed("", err)
		}
		s.granted(int64(grant.ID), heartbeat)
		s.detached(int64(grant.ID))
		s.leaseEnds(int64(grant.ID), leaseExpired)
		_, err = s.client.Put(asking, fmt.Sprintf("%sheart-%d/%d", prefixApp, number, next%clients), "alive", clientv3.WithLease(grant.ID))
		return failed("heartbeat", err)
	}
	return oracle.Actor{Name: fmt.Sprintf("heart-%d", number), Pause: 40 * time.Millisecond, Act: act}
}
