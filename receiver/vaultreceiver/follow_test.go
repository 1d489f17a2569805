// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

func TestWhatIsDeniedOfWhatIsFollowedIsAskedForAtItsOwnPace(t *testing.T) {
	cfg := only("http://127.0.0.1:1", "planted")
	cfg.Leases.Mode, cfg.Leases.Prefixes, cfg.Leases.Interval = ModePrefixes, []string{"pki", "auth"}, time.Hour
	cfg.Tokens.Mode, cfg.Tokens.Interval = ModeAccessors, 2*time.Hour
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	now := time.Now()
	for endpoint, every := range map[string]time.Duration{
		endpointLease: time.Hour, endpointLease + "/pki": time.Hour, endpointLease + "/auth": time.Hour, endpointIrrevocable: time.Hour,
		endpointToken: 2 * time.Hour, endpointAccessors: 2 * time.Hour,
	} {
		w.endpoints.set(now, endpoint, explainDenial(endpoint, "read", "permission denied"))
		assert.True(t, w.endpoints.off(now.Add(6*every-1), endpoint), endpoint)
		assert.False(t, w.endpoints.off(now.Add(6*every), endpoint), endpoint)
	}
}
