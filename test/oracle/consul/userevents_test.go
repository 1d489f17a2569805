// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

func userEventObject(id string) string { return "user event/" + id }

// announcer fires user events. Agents forget them, so what was fired is the truth.
func (s *system) announcer() oracle.Actor {
	var mu sync.Mutex
	fired := map[string]string{}
	domain := s.domain(func(context.Context) (map[string]string, error) {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(fired), nil
	})
	domain.Keep = minCatalogTurn
	domain.Unsettled = true // An agent that ends hears nothing of what it fires.
	number := 0
	act := func(ctx context.Context, random *rand.Rand) string {
		number++
		event := &api.UserEvent{Name: fmt.Sprintf("deploy-%d", random.IntN(3)), Payload: fmt.Append(nil, number)}
		from := time.Now()
		id, _, err := s.client.Event().Fire(event, write(ctx))
		if err != nil {
			return "failed request"
		}
		mu.Lock()
		fired[userEventObject(id)] = present
		mu.Unlock()
		domain.Record(ctx, from)
		return "user event fired"
	}
	return oracle.Actor{Name: "announcer", Pause: 2 * time.Second, Act: act}
}
