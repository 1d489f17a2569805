// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// keyNames are names of keys that are odd, but valid. Some are no text.
var keyNames = []string{
	"plain", "with space", "Ünïcode/Ключ", "deep/er/and/deeper", "per%cent", "q?&=#", "//double", "trailing/", "", "\xff\xfe", "nul\x00", "a\xffb", "a\xfeb",
	"0000", "end/7", "new\nline",
}

// request bounds the time of one operation, so that a fault does not hold it up for long.
const request = 4 * time.Second

// failed returns what is counted of an operation.
func failed(what string, err error) string {
	if err != nil {
		return "failed request"
	}
	return what
}

// writer puts and deletes keys, alone and in transactions over several keys and prefixes.
func (s *system) writer(number int, pause time.Duration) oracle.Actor {
	own := fmt.Sprintf("writer-%d/", number)
	places := []string{prefixApp, prefixDeep, prefixApp, prefixDeep, excluded, prefixOther}
	pick := func(random *rand.Rand) string {
		return places[random.IntN(len(places))] + own + keyNames[random.IntN(len(keyNames))]
	}
	act := func(ctx context.Context, random *rand.Rand) string {
		kind, name, size := random.IntN(12), pick(random), random.IntN(3)*random.IntN(1500)
		value := strings.Repeat(string([]byte{byte(random.IntN(256))}), size)
		names := map[string]bool{}
		for range 2 + random.IntN(6) {
			names[pick(random)] = true
		}
		removes := random.Uint64()
		ctx, enough := context.WithTimeout(ctx, request)
		defer enough()
		var err error
		switch kind {
		case 0, 1:
			_, err = s.client.Delete(ctx, name)
			return failed("key deleted", err)
		case 2:
			_, err = s.client.Delete(ctx, prefixApp+own, clientv3.WithPrefix())
			return failed("prefix deleted", err)
		case 3, 4, 5:
			var ops []clientv3.Op
			sorted := make([]string, 0, len(names))
			for name := range names {
				sorted = append(sorted, name)
			}
			slices.Sort(sorted)
			for i, name := range sorted {
				if removes>>i&1 == 0 {
					ops = append(ops, clientv3.OpPut(name, value))
				} else {
					ops = append(ops, clientv3.OpDelete(name))
				}
			}
			_, err = s.client.Txn(ctx).Then(ops...).Commit()
			return failed("transaction", err)
		case 6:
			_, err = concurrency.NewSTM(s.client, func(stm concurrency.STM) error {
				before := stm.Get(name)
				for other := range names {
					stm.Put(other, before+"x")
				}
				stm.Put(name, value)
				return nil
			}, concurrency.WithAbortContext(ctx))
			return failed("STM", err)
		case 7:
			_, err = s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(name), "=", 0)).
				Then(clientv3.OpPut(name, value)).Else(clientv3.OpDelete(name)).Commit()
			return failed("transaction that compares", err)
		case 8:
			_, err = s.client.Put(ctx, name, "", clientv3.WithIgnoreLease())
			if err != nil && strings.Contains(err.Error(), "key not found") {
				return ""
			}
			return failed("key put with its lease", err)
		default:
			_, err = s.client.Put(ctx, name, value)
			return failed("key put", err)
		}
	}
	return oracle.Actor{Name: fmt.Sprintf("writer-%d", number), Pause: pause, Act: act}
}

// compactor compacts what is older than a few revisions, and defragments.
func (s *system) compactor() oracle.Actor {
	last := int64(0)
	act := func(ctx context.Context, random *rand.Rand) string {
		back, defragment := random.Int64N(40), random.IntN(4) == 0
		ctx, enough := context.WithTimeout(ctx, request)
		defer enough()
		if defragment {
			_, err := s.client.Defragment(ctx, s.etcd.Endpoints[0])
			return failed("defragmentation", err)
		}
		revision := s.history.revision() - back
		if revision <= last {
			return ""
		}
		last = revision
		return failed("compaction", s.compact(ctx, revision))
	}
	return oracle.Actor{Name: "compactor", Pause: 8 * time.Second, Act: act}
}
