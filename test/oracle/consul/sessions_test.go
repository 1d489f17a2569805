// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

func sessionObject(name, id string) string { return "session/" + name + "/" + id }

// sessionsOf reads the sessions whose names begin with an actor's.
func (s *system) sessionsOf(ctx context.Context, actor string, states map[string]string) error {
	sessions, _, err := s.client.Session().List(sure(ctx))
	for _, session := range sessions {
		if strings.HasPrefix(session.Name, actor+":") {
			states[sessionObject(session.Name, session.ID)] = present
		}
	}
	return err
}

// visitor creates sessions that hold nothing, and ends them.
func (s *system) visitor(number int) oracle.Actor {
	name := fmt.Sprintf("visitor-%d", number)
	domain := s.domain(func(ctx context.Context) (map[string]string, error) {
		states := map[string]string{}
		return states, s.sessionsOf(ctx, name, states)
	})
	id, expires := "", false
	act := func(ctx context.Context, random *rand.Rand) string {
		if expires {
			domain.Poll(ctx)
			if domain.State(sessionObject(name+":idle", id)) != oracle.Absent {
				return ""
			}
			id, expires = "", false
			return "session expired"
		}
		expire := random.IntN(4) == 0
		if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return domain.Rested(domain.Objects()...) }) {
			return ""
		}
		from, what := time.Now(), "session destroyed"
		var err error
		if id == "" {
			what = "session created"
			entry := &api.SessionEntry{Name: name + ":idle"}
			if expire {
				entry.TTL = "2s"
			}
			id, _, err = s.client.Session().CreateNoChecks(entry, write(ctx))
			expires = expire && err == nil
		} else {
			_, err = s.client.Session().Destroy(id, write(ctx))
			id = ""
		}
		domain.Record(ctx, from)
		if err != nil {
			return "failed request"
		}
		return what
	}
	end := func(ctx context.Context) {
		oracle.Until(ctx, 200*time.Millisecond, func() bool {
			domain.Poll(ctx)
			return !expires || domain.State(sessionObject(name+":idle", id)) == oracle.Absent
		})
	}
	return oracle.Actor{Name: name, Pause: time.Second, Act: act, End: end}
}
