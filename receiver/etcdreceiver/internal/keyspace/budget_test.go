// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

// Leases come and go ten times as fast as they can be queried, with a list each second
// in between: of members that lag, or of the leader alone.
func TestMoreLeasesThanTheBudgetAllows(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			truth := newEtcd()
			o := newObserver(t, truth, Prefixes{Watch: []string{"/p/"}, Locks: []string{"/l/"}}, Limits{Keys: 1000, Leases: 10_000})
			o.attached = seed%2 == 0
			var sessions []int64
			largest := 0
			for tick := range 120 { // of a tenth of a second
				for i := range 10 {
					id := truth.grant(5)
					truth.revision++
					switch i {
					case 0: // a session that is renewed, and then ends with its lock
						truth.put(fmt.Sprintf("/l/%d/%x", id, id), id, 0)
						sessions = append(sessions, id)
					default:
						truth.put(fmt.Sprint("/p/", i), id, 1)
					}
				}
				sessions = slices.DeleteFunc(sessions, func(id int64) bool {
					switch random.IntN(60) {
					case 0:
						truth.end(id, "revoked")
						return true
					case 1: // It is not renewed any more.
						return true
					}
					if tick%15 == int(id%15) {
						truth.renew(id)
					}
					return false
				})
				truth.pass(100 * time.Millisecond)
				for _, prefix := range []string{"/l/", "/p/"} {
					o.watch(prefix, 1000, false, false)
				}
				o.askOne()
				if tick%10 == 9 {
					if member := random.IntN(3); member != 0 || seed > 1 {
						truth.apply(member)
					}
					o.listLeases(random.IntN(3))
				}
				if tick > 60 {
					largest = max(largest, len(o.m.leases.IDs())-len(truth.leases))
				}
			}
			t.Logf("%d more leases were followed than there were, causes %v", largest, o.m.Counts().Leases.Ended)
			require.Less(t, largest, 600, "those of some seconds: they do not pile up")
			attached := map[int64]bool{}
			for _, key := range truth.keys {
				attached[key.Lease] = true
			}
			require.Len(t, attached, o.m.leases.Attached())
		})
	}
}

// askOne asks for the lease that is due.
func (o *observer) askOne() {
	if id, _, due := o.m.DueLease(o.etcd.now); due {
		o.take(o.m.StepLeases(o.etcd.now, lease.Observation{Answers: []lease.Answer{o.etcd.answer(id, o.etcd.now)}}))
	}
}
