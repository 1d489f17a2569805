// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"errors"
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
		if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return domain.AllRested() }) {
			return ""
		}
		domain.Poll(ctx) // A session that a snapshot brought back expires by itself.
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
	end := func(ctx context.Context) { s.destroySessions(ctx, name, domain) }
	return oracle.Actor{Name: name, Pause: time.Second, Act: act, End: end}
}

// destroySessions ends the sessions of an actor, so that none expires later.
func (s *system) destroySessions(ctx context.Context, actor string, domain *oracle.Domain) {
	domain.Poll(ctx)
	oracle.Until(ctx, 20*time.Millisecond, func() bool { return domain.AllRested() })
	domain.Poll(ctx)
	from := time.Now()
	oracle.Until(ctx, 50*time.Millisecond, func() bool {
		sessions, _, err := s.client.Session().List(sure(ctx))
		for _, session := range sessions {
			if strings.HasPrefix(session.Name, actor+":") {
				_, gone := s.client.Session().Destroy(session.ID, write(ctx))
				err = errors.Join(err, gone)
			}
		}
		return err == nil
	})
	domain.Record(ctx, from)
}
