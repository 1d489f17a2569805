// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// Render renders effects in their order, each by its kind.
func Render(r *collect.Renderer, effects []Effect) {
	r.Grow(len(effects))
	for _, effect := range effects {
		switch e := effect.(type) {
		case key.Effect:
			key.Render(r, e)
		case lock.Effect:
			lock.Render(r, e)
		case lease.Effect:
			lease.Render(r, e)
		}
	}
}
