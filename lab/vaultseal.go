// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Unseal unseals the members with these indexes, all if none is named. It waits
// until each is active, or stands by while another is active; it does not wait
// for an active one if too few members are unsealed to elect it.
func (v *Vault) Unseal(ctx context.Context, members ...int) error {
	members = v.orAll(members)
	for _, i := range members {
		if err := v.unseal(ctx, i); err != nil {
			return err
		}
	}
	for _, i := range members {
		if err := waitReady(ctx, v.Members[i].Process(), func(ctx context.Context) error { return v.serves(ctx, i) }); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) orAll(members []int) []int {
	if len(members) > 0 {
		return members
	}
	all := make([]int, len(v.Members))
	for i := range all {
		all[i] = i
	}
	return all
}

func (v *Vault) unseal(ctx context.Context, i int) error {
	if len(v.UnsealKeys) == 0 {
		return errors.New("vault has no unseal key yet; call Initialise")
	}
	client, err := v.Client(i)
	if err != nil {
		return err
	}
	for _, key := range v.UnsealKeys {
		if _, err := client.Sys().UnsealWithContext(ctx, key); err != nil {
			return fmt.Errorf("unseal %s: %w", v.Members[i].name, err)
		}
	}
	return nil
}

// serves is nil when member i is unsealed, and one is active if one can be.
func (v *Vault) serves(ctx context.Context, i int) error {
	status, err := v.health(ctx, i)
	if err != nil {
		return err
	}
	if !unsealed(status) {
		return fmt.Errorf("%s is not unsealed: /v1/sys/health answers %d", v.Members[i].name, status)
	}
	count := 0
	for j := range v.Members {
		// One that does not answer is as good as sealed.
		status, err := v.health(ctx, j)
		if err == nil && status == http.StatusOK {
			return nil
		}
		if err == nil && unsealed(status) {
			count++
		}
	}
	if count > len(v.Members)/2 {
		return errors.New("no vault server is active")
	}
	return nil
}

// unsealed is what an active or a standby member answers for its health.
func unsealed(status int) bool {
	return status == http.StatusOK || status == http.StatusTooManyRequests
}

// Seal seals the members with these indexes, all if none is named: they then
// answer nothing but their state, until Unseal. Vault seals only who is active;
// one that stands by, or did, is restarted, as Vault says to do instead.
func (v *Vault) Seal(ctx context.Context, members ...int) error {
	for _, i := range v.orAll(members) {
		client, err := v.Client(i)
		if err != nil {
			return err
		}
		err = client.Sys().SealWithContext(ctx)
		if err != nil && v.isUnsealed(ctx, i) {
			err = v.Members[i].Restart(ctx)
		}
		if err != nil {
			return fmt.Errorf("seal %s: %w", v.Members[i].name, err)
		}
	}
	return nil
}

// isUnsealed says whether a member is that: one that stood by may be active by now.
func (v *Vault) isUnsealed(ctx context.Context, i int) bool {
	status, err := v.health(ctx, i)
	return err == nil && unsealed(status)
}

// Restart restarts the members with these indexes, all if none is named, like
// [Server.Restart], and unseals them.
func (v *Vault) Restart(ctx context.Context, members ...int) error {
	for _, i := range v.orAll(members) {
		if err := v.Members[i].Restart(ctx); err != nil {
			return err
		}
	}
	return v.Unseal(ctx, members...)
}
