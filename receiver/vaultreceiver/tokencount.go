// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

const endpointTokens = "sys/internal/counters/tokens"

// newTokenCount counts the tokens.
func newTokenCount(w *watcher) domain {
	return &topic[int64]{
		w: w, endpoint: endpointTokens, every: w.cfg.Tokens.Interval,
		read: func(ctx context.Context) (int64, error) { return w.client.TokenCount(ctx) },
		measure: func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, n int64) {
			mb.RecordVaultTokenCountDataPoint(now, n)
		},
	}
}

// TokenCount returns how many service tokens there are.
func (c *client) TokenCount(ctx context.Context) (int64, error) {
	var answer struct {
		Data struct {
			Counters struct {
				Tokens struct {
					Total *int64 `json:"total" answer:"required"`
				} `json:"service_tokens"`
			} `json:"counters"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpointTokens}, &answer); err != nil {
		return 0, err
	}
	return *answer.Data.Counters.Tokens.Total, nil
}
