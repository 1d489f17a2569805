// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// issueMany makes leases of tokens, some at the same time.
func issueMany(tb testing.TB, client *api.Client, n int) {
	tb.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for int(next.Add(1)) <= n {
				_, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: "24h"})
				if err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

func TestManyLeasesWithinTheBudget(t *testing.T) {
	const leases = 5_000 // The benchmark has more.
	vault, client := startVault(t)
	began := time.Now()
	issueMany(t, client, leases)
	issuing := time.Since(began)
	t.Logf("%d leases in %v", leases, issuing)
	for name, rate := range map[string]float64{"low": 20, "high": 5000} {
		t.Run(name, func(t *testing.T) {
			cfg := following(t, vault.Addr, client)
			cfg.Leases.Prefixes = []string{"auth"}
			cfg.Leases.RequestsPerSecond = rate
			cfg.Leases.Interval = time.Second
			cfg.Leases.Limit = 2 * leases
			began := time.Now()
			o := observe(t, cfg, string(cfg.Token))
			within := func() int64 {
				requests := int64(0)
				for _, endpoint := range []string{endpointLease, endpointLease + "/auth", endpointLeases, endpointIrrevocable} {
					requests += o.Own(t, "otelcol_vault_requests", "request", endpoint)
				}
				require.LessOrEqual(t, float64(requests), 1+rate*time.Since(began).Seconds())
				return requests
			}
			if rate < 100 {
				o.Eventually(t, "some are read", func() bool { return within() >= 200 })
				unread, _ := o.Value("vault.lease.unread.count")
				assert.Greater(t, unread, int64(leases/2))
				return
			}
			require.Eventually(t, func() bool {
				within()
				return o.HasValue(0, "vault.lease.unread.count")() && o.HasMetric("vault.lease.followed.count")
			}, 3*time.Minute+issuing, 100*time.Millisecond) // A machine that is slow is so in both.
			day, _ := o.Value("vault.lease.followed.count", "vault.expiry", "day")
			assert.Equal(t, int64(leases), day)
			read := o.Own(t, "otelcol_vault_requests", "request", endpointLease)
			assert.GreaterOrEqual(t, read, int64(leases))
			lists := o.Own(t, "otelcol_vault_requests", "request", endpointLease+"/auth")
			o.Eventually(t, "they are listed again", func() bool { return o.Own(t, "otelcol_vault_requests", "request", endpointLease+"/auth") > lists+6 })
			assert.LessOrEqual(t, o.Own(t, "otelcol_vault_requests", "request", endpointLease), read+2, "and not asked for again")
			t.Logf("read in %v", time.Since(began))
		})
	}
}
