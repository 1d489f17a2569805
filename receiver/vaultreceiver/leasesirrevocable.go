// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const endpointIrrevocable = "sys/leases"

// run asks for the leases that cannot be revoked at each interval, within the
// same budget, however long a list of the others takes.
func (l *leases) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		turned := l.w.turns()
		for l.w.wait(ctx, l.opened) {
			l.seeIrrevocable(ctx)
			pauseUntil(ctx, l.cfg.Interval, turned)
		}
	})
	l.follower.run(ctx)
}

// seeIrrevocable asks how many leases Vault has given up on, and which, if there
// are any and it is possible to tell so.
func (l *leases) seeIrrevocable(ctx context.Context) {
	possible, _ := l.w.possible()
	count, ok := poll(ctx, l.w, endpointLeases, possible, &l.given, func(ctx context.Context) (seen irrevocableLeases, err error) {
		if err := l.pace.Wait(ctx); err != nil {
			return seen, err
		}
		return l.w.client.countIrrevocable(ctx)
	})
	l.mu.Lock()
	full := l.full() // The next time tells the difference, and the number goes on meanwhile.
	l.mu.Unlock()
	if full {
		return
	}
	switch {
	case ok && count.LeaseCount > 0:
		var into answer[irrevocableLeases]
		count, ok = poll(ctx, l.w, endpointIrrevocable, possible, &into, func(ctx context.Context) (seen irrevocableLeases, err error) {
			if err := l.pace.Wait(ctx); err != nil {
				return seen, err
			}
			return l.w.client.listIrrevocable(ctx)
		})
	case ok || !possible:
		l.w.endpoints.rest(endpointIrrevocable)
	}
	if !ok || !l.possible() {
		return
	}
	l.learn(func(now time.Time) (effects []state.LifeEffect[state.LeaseDetail]) {
		ids := make([]string, len(count.Leases))
		for i, lease := range count.Leases {
			ids[i] = lease.ID
			l.roster.Change(lease.ID, func(detail *state.LeaseDetail) (changed bool) {
				changed, detail.Irrevocable = !detail.Irrevocable, true
				return changed
			})
		}
		news, changed := l.irrevocable.Step(ids)
		for _, id := range news {
			effects = append(effects, state.IrrevocableLease(now, id))
		}
		l.dirty = l.dirty || changed
		return effects
	})
}

// irrevocableLeases are leases that Vault could not revoke. Why not is not read:
// it may hold anything.
type irrevocableLeases struct {
	LeaseCount int64 `json:"lease_count"`
	Leases     []struct {
		ID string `json:"lease_id" answer:"required"`
	} `json:"leases" answer:"required"`
}

func (c *client) countIrrevocable(ctx context.Context) (irrevocableLeases, error) {
	var answer struct {
		Data struct {
			LeaseCount *int64 `json:"lease_count" answer:"required"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpointLeases, query: irrevocable}, &answer); err != nil {
		return irrevocableLeases{}, err
	}
	return irrevocableLeases{LeaseCount: *answer.Data.LeaseCount}, nil
}

func (c *client) listIrrevocable(ctx context.Context) (irrevocableLeases, error) {
	var answer struct {
		Data struct {
			irrevocableLeases
			LeaseCount *int64 `json:"lease_count" answer:"required"`
		} `json:"data"`
	}
	request := call{endpoint: endpointIrrevocable, needs: "sudo and read", query: irrevocable}
	if err := c.do(ctx, request, &answer); err != nil {
		return irrevocableLeases{}, err
	}
	return irrevocableLeases{LeaseCount: *answer.Data.LeaseCount, Leases: answer.Data.Leases}, nil
}

var irrevocable = map[string][]string{"type": {"irrevocable"}}
