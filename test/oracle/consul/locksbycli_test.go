// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// Stages of a "consul lock" that runs.
const (
	idle    = iota
	started // it waits for the lock, or holds it
	killed  // its session expires after 15 to 30 seconds
)

// cliPrefix begins the names of what "consul lock" uses, and cliExpiry is how long after
// its last renewal a session of it can expire.
const (
	cliPrefix = "cli-"
	cliExpiry = 35 * time.Second
)

// cliLocker runs "consul lock" again and again, with as many at a time as contend.
type cliLocker struct {
	*system
	name, prefix string
	limit        int
	domain       *oracle.Domain
	binary, dir  string
	runs         []*cliRun
}

// cliRun is one contender.
type cliRun struct {
	name    string
	stage   int
	process *lab.Process
	kill    bool      // instead of ending in order
	due     time.Time // when it is killed
}

// cliLocker makes an actor of some contenders for a lock, or for a semaphore if the
// limit is above 1.
func (s *system) cliLocker(number, limit, contenders int) oracle.Actor {
	l := &cliLocker{system: s, name: fmt.Sprintf("%s%d", cliPrefix, number), limit: limit, dir: s.T.TempDir()}
	l.prefix = prefixLocks + l.name
	if limit > 1 {
		l.prefix = prefixSemaphores + l.name
	}
	var err error
	l.binary, err = lab.Binary(s.T.Context(), "consul", nil)
	require.NoError(s.T, err)
	for i := range contenders {
		l.runs = append(l.runs, &cliRun{name: fmt.Sprintf("%s:%d", l.name, i)})
	}
	l.domain = s.domain(l.read)
	l.domain.Passes = passes
	return oracle.Actor{Name: l.name, Pause: 200 * time.Millisecond, Act: l.act, End: l.end}
}

func (l *cliLocker) read(ctx context.Context) (map[string]string, error) {
	states := map[string]string{}
	if err := l.sessionsOf(ctx, l.name, states); err != nil {
		return nil, err
	}
	return states, l.locksUnder(ctx, l.prefix+"/", states)
}

func (l *cliLocker) act(ctx context.Context, random *rand.Rand) string {
	l.domain.Poll(ctx)
	l.allow()
	run := l.runs[random.IntN(len(l.runs))]
	kill, lasts := random.IntN(4) == 0, 1500+random.IntN(2000)
	switch run.stage {
	case idle:
		sleep := lasts
		if kill {
			sleep += 5000 // It must not end before it is killed.
		}
		process, err := lab.StartProcess(lab.Command{
			Name: strings.ReplaceAll(run.name, ":", "-"), Path: l.binary, Dir: l.dir, Env: l.cliEnv(),
			Args: []string{"lock", "-name=" + run.name, fmt.Sprintf("-n=%d", l.limit), "-shell=false", l.prefix, "sleep", fmt.Sprintf("%.3f", float64(sleep)/1000)},
		})
		if err != nil {
			return "failed request"
		}
		run.stage, run.process, run.kill, run.due = started, process, kill, time.Now().Add(time.Duration(lasts)*time.Millisecond)
		return fmt.Sprintf("consul lock -n=%d", l.limit)
	case started:
		select {
		case <-run.process.Done():
			run.stage = idle
			return ""
		default:
		}
		if run.kill && time.Now().After(run.due) {
			if run.process.Kill() == nil {
				run.stage = killed
			}
			return "consul lock killed"
		}
	case killed:
		if !l.sessionLives(run) {
			run.stage = idle
			return "session of killed consul lock expired"
		}
	}
	return ""
}

func (l *cliLocker) sessionLives(run *cliRun) bool {
	for _, object := range l.domain.Objects() {
		if strings.HasPrefix(object, sessionObject(run.name, "")) && l.domain.State(object) != oracle.Absent {
			return true
		}
	}
	return false
}

// allow notes how the holds that last may end: "consul lock" deletes the key at once
// after it has released it. One that was killed loses it with its session.
func (l *cliLocker) allow() {
	for _, object := range l.domain.Objects() {
		key, isLock := strings.CutPrefix(object, lockObject(""))
		state := l.domain.State(object)
		if !isLock || state == oracle.Absent || state == waits || len(l.ends.of(key, state)) > 0 {
			continue
		}
		ways := []string{endReleased, endDeleted}
		if len(l.consul.Members) > 1 {
			ways = append(ways, endInvalidated) // Its session ends when the others miss the agent.
		}
		for _, run := range l.runs {
			if run.kill && l.domain.State(sessionObject(run.name, strings.SplitN(state, "#", 2)[0])) != oracle.Absent {
				ways = []string{endInvalidated}
			}
		}
		l.ends.allow(key, state, ways...)
	}
}

// end destroys the sessions of those that were killed, and ends the others in order.
func (l *cliLocker) end(ctx context.Context) {
	for _, run := range l.runs {
		switch {
		case run.stage != started:
		case run.kill:
			_ = run.process.Kill()
		default:
			_ = run.process.Stop(ctx)
		}
		l.domain.Poll(ctx)
		l.allow()
	}
	l.destroySessions(ctx, l.name, l.domain)
}
