// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"maps"
)

// Get returns a lease as it is known.
func (ls *Leases) Get(id int64) (l Lease, known bool) {
	if l, known := ls.known[id]; known {
		return l.Lease, true
	}
	return Lease{}, false
}

// IDs returns the leases that are followed, in no order.
func (ls *Leases) IDs() (ids []int64) {
	for id := range ls.known {
		ids = append(ids, id)
	}
	return ids
}

// Verify returns an error if what is known contradicts itself. Tests call it after
// each step.
func (ls *Leases) Verify() error {
	attached, keys, others := map[int64]int{}, int64(0), 0
	for _, a := range ls.under {
		for id, n := range a.keys {
			attached[id] += n
			keys += int64(n)
			if ls.known[id] == nil {
				others += n
			}
		}
	}
	if ls.keys != keys || ls.others != others {
		return fmt.Errorf("%d keys are attached, %d of them to others, not %d and %d", keys, others, ls.keys, ls.others)
	}
	if len(ls.known) > ls.limit || len(ls.due[lockQueue])+len(ls.due[otherQueue]) != len(ls.known) {
		return fmt.Errorf("%d and %d due of %d, of %d at most", len(ls.due[lockQueue]), len(ls.due[otherQueue]), len(ls.known), ls.limit)
	}
	withKeys := 0
	for id := range attached {
		if ls.known[id] != nil {
			withKeys++
		}
	}
	if ls.attached != withKeys {
		return fmt.Errorf("%d leases have keys, not %d", withKeys, ls.attached)
	}
	for queue, due := range ls.due {
		for i, l := range due {
			if l.queue != queue || l.index != i || ls.known[l.ID] != l || i > 0 && due.Less(i, (i-1)/2) {
				return fmt.Errorf("lease %x has index %d in queue %d, at %d in %d", l.ID, l.index, l.queue, i, queue)
			}
		}
	}
	for _, l := range ls.known {
		if l.Keys != attached[l.ID] || len(l.Names) > maxKeys {
			return fmt.Errorf("lease %x has %d keys, not %d", l.ID, attached[l.ID], l.Keys)
		}
	}
	return nil
}

// Verify returns an error if other keys than these are attached, as many to each
// lease.
func (a *Attachments) Verify(keys map[int64]int) error {
	if !maps.Equal(keys, a.keys) {
		return fmt.Errorf("%v are attached, not %v", keys, a.keys)
	}
	return nil
}

// Attached returns how many leases that are followed have keys.
func (ls *Leases) Attached() int { return ls.attached }
