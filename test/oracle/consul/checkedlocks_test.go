// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// checkedLocker holds a lock with sessions that end when a check of the agent fails.
type checkedLocker struct {
	*system
	key, node string
	domain    *oracle.Domain
}

const (
	checkedName  = "checked"
	checkedCheck = "holder-alive"
)

func (s *system) checkedLocker(node string) oracle.Actor {
	l := &checkedLocker{system: s, key: prefixLocks + checkedName + "/key", node: node}
	require.NoError(s.T, s.client.Agent().CheckRegister(&api.AgentCheckRegistration{
		ID: checkedCheck, Name: checkedCheck, AgentServiceCheck: api.AgentServiceCheck{TTL: "1h", Status: api.HealthPassing},
	}))
	l.domain = s.domain(func(ctx context.Context) (map[string]string, error) {
		states := map[string]string{}
		if err := s.sessionsOf(ctx, checkedName, states); err != nil {
			return nil, err
		}
		return states, s.locksUnder(ctx, prefixLocks+checkedName, states)
	})
	l.domain.Passes = passes
	l.domain.Unsettled = true // What the agent has not brought yet is lost when it restarts.
	return oracle.Actor{Name: checkedName, Pause: time.Second, Act: l.act, End: l.end}
}

func (l *checkedLocker) act(ctx context.Context, _ *rand.Rand) string {
	if !oracle.Until(ctx, 20*time.Millisecond, func() bool { return l.domain.AllRested() }) {
		return ""
	}
	l.domain.Poll(ctx)
	from := time.Now()
	held := l.domain.State(lockObject(l.key))
	if held == oracle.Absent {
		err := l.acquire(ctx)
		l.domain.Record(ctx, from)
		if err != nil {
			return "failed request"
		}
		return "lock acquired by a session with a check"
	}
	l.ends.allow(l.key, held, endInvalidated)
	_ = l.client.Agent().UpdateTTL(checkedCheck, "by the oracle", api.HealthCritical)
	waiting, enough := context.WithTimeout(ctx, 3*time.Second) // The agent brings it to the catalog.
	defer enough()
	oracle.Until(waiting, 20*time.Millisecond, func() bool {
		l.domain.Poll(ctx)
		return l.domain.State(lockObject(l.key)) == oracle.Absent
	})
	return "check of a session with a lock failed"
}

func (l *checkedLocker) acquire(ctx context.Context) error {
	if err := l.client.Agent().UpdateTTL(checkedCheck, "by the oracle", api.HealthPassing); err != nil {
		return err
	}
	waiting, enough := context.WithTimeout(ctx, 3*time.Second)
	defer enough()
	var session string
	var err error
	if !oracle.Until(waiting, 20*time.Millisecond, func() bool { // Not before the check passes in the catalog.
		session, _, err = l.client.Session().Create(&api.SessionEntry{
			Name: checkedName + ":holder", NodeChecks: []string{checkedCheck}, LockDelay: time.Millisecond,
		}, write(ctx))
		return err == nil
	}) {
		return err
	}
	_, _, err = l.client.KV().Acquire(&api.KVPair{Key: l.key, Session: session}, write(ctx))
	return err
}

func (l *checkedLocker) end(ctx context.Context) {
	l.domain.Poll(ctx)
	if held := l.domain.State(lockObject(l.key)); held != oracle.Absent {
		l.ends.allow(l.key, held, endInvalidated)
	}
	l.destroySessions(ctx, checkedName, l.domain)
}
