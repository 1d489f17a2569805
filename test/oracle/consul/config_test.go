// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

func configObject(kind, name string) string { return "config/" + kind + "/" + name }

// configurer writes configuration entries.
func (s *system) configurer() oracle.Actor {
	const prefix = "configured-"
	domain := s.domain(func(ctx context.Context) (map[string]string, error) {
		states := map[string]string{}
		for _, kind := range []string{api.ServiceDefaults, api.ServiceResolver} {
			entries, _, err := s.client.ConfigEntries().List(kind, sure(ctx))
			if err != nil {
				return nil, err
			}
			for _, entry := range entries {
				states[configObject(kind, entry.GetName())] = version(entry.GetModifyIndex())
			}
		}
		return states, nil
	})
	domain.Keep, domain.Within = configEvery+minCatalogTurn, configEvery+within
	act := func(ctx context.Context, random *rand.Rand) string {
		name := fmt.Sprintf("%s%d", prefix, random.IntN(4))
		kind := []string{api.ServiceDefaults, api.ServiceResolver}[random.IntN(2)]
		remove := random.IntN(3) == 0
		timeout := time.Duration(1+random.IntN(1000)) * time.Second
		if !domain.Rested(configObject(kind, name)) {
			return ""
		}
		from, what := time.Now(), "configuration entry written"
		var err error
		switch {
		case remove:
			what = "configuration entry deleted"
			_, err = s.client.ConfigEntries().Delete(kind, name, write(ctx))
		case kind == api.ServiceDefaults:
			_, _, err = s.client.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: kind, Name: name, Protocol: "http", MaxInboundConnections: int(timeout.Seconds())}, write(ctx))
		default:
			_, _, err = s.client.ConfigEntries().Set(&api.ServiceResolverConfigEntry{Kind: kind, Name: name, ConnectTimeout: timeout}, write(ctx))
		}
		domain.Record(ctx, from)
		if err != nil {
			return "failed request"
		}
		return what
	}
	return oracle.Actor{Name: "configurer", Pause: 3 * time.Second, Act: act}
}
