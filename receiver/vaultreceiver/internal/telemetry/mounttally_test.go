// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestCountsTellSoManyMountsApartOnly(t *testing.T) {
	counts := state.RosterCounts{Followed: map[state.Standing]int64{}, Groups: map[string]int64{"": 5}, Unread: 5, Unfollowed: 6}
	for n := range maxTallied + 3 {
		mount := fmt.Sprintf("auth/%04d/", n)
		counts.Groups[mount] = 3
		counts.Followed[state.Standing{Group: mount, Expiry: state.ExpiryHour}] = 1
		counts.Followed[state.Standing{Group: mount, Expiry: state.ExpiryDay}] = 2
	}
	config := metadata.NewDefaultMetricsBuilderConfig()
	config.Metrics.VaultLeaseMountCount.Enabled = true
	for name, record := range map[string]func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, counts state.RosterCounts){
		"vault.lease.mount.count": RecordLeaseCounts, "vault.token.followed.count": RecordTokenCounts,
	} {
		mb := metadata.NewMetricsBuilder(config, receivertest.NewNopSettings(metadata.Type))
		record(mb, pcommon.NewTimestampFromTime(time.Unix(1_000_000, 0)), counts)
		points := map[string]int64{}
		for _, metric := range mb.Emit().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if metric.Name() != name {
				continue
			}
			for _, point := range metric.Sum().DataPoints().All() {
				mount, _ := point.Attributes().Get("vault.mount.path")
				points[mount.Str()] += point.IntValue()
			}
		}
		require.Len(t, points, maxTallied+1, name)
		assert.Equal(t, int64(9), points[otherMounts], name)
		assert.Equal(t, int64(3), points["auth/0999/"], name)
		assert.NotContains(t, points, "auth/1000/", name)
	}
	assert.Equal(t, int64(3), byMount(counts).Followed[state.Standing{Group: otherMounts, Expiry: state.ExpiryHour}])
	assert.Equal(t, int64(5), byMount(counts).Groups[""])
}
