// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// Ways in which an attempt ends.
const (
	byUnlock   = "lock released"
	byClose    = "lease of a lock revoked"
	byExpiry   = "lease of a lock expired"
	byDeletion = "key of a lock deleted"
	byGivingUp = "wait given up"
	byTry      = "try"
	byRevoking = "lease of a waiter revoked"
)

var endings = []string{byUnlock, byUnlock, byClose, byExpiry, byDeletion, byGivingUp, byTry, byRevoking}

// shortLease is the shortest time to live that etcd grants, in seconds.
const shortLease = 2

// contender acquires a lock that it shares with others, and loses it in every way.
type contender struct {
	*system
	lock    string
	session *concurrency.Session
	ttl     int // of its lease
}

func (s *system) contender(lock string, number int) oracle.Actor {
	c := &contender{system: s, lock: lock}
	return oracle.Actor{Name: fmt.Sprintf("contender-%d of %s", number, lock), Pause: 600 * time.Millisecond, Act: c.act, End: c.end}
}

// open opens a session, unless there is one still that lasts as long.
func (c *contender) open(ctx context.Context, ttl int) error {
	if c.session != nil && c.ttl != ttl {
		if err := c.close(ctx); err != nil {
			return err
		}
	}
	if c.session != nil {
		select {
		case <-c.session.Done(): // It expired, as etcd was away.
			c.leaseEnds(int64(c.session.Lease()), leaseExpired)
			c.session = nil
		default:
			return nil
		}
	}
	session, err := c.newSession(ctx, ttl)
	c.session, c.ttl = session, ttl
	return err
}

// newSession opens a session that is kept alive.
func (s *system) newSession(ctx context.Context, ttl int) (*concurrency.Session, error) {
	grant, err := s.client.Grant(ctx, int64(ttl))
	if err != nil {
		return nil, err
	}
	s.granted(int64(grant.ID), int64(ttl))
	if ttl == shortLease {
		s.leaseEnds(int64(grant.ID), leaseExpired) // Whenever it cannot be kept alive for so long.
	}
	session, err := concurrency.NewSession(s.client, concurrency.WithLease(grant.ID))
	if err != nil {
		return nil, errors.Join(err, s.revoke(context.WithoutCancel(ctx), int64(grant.ID)))
	}
	return session, nil
}

// close ends the session by revoking its lease.
func (c *contender) close(ctx context.Context) error {
	session := c.session
	c.session = nil
	session.Orphan()
	return c.insist(ctx, func(ctx context.Context) error {
		return notFound(c.revoke(ctx, int64(session.Lease())))
	})
}

// expire ends the session by not renewing its lease, and waits until it is gone.
func (s *system) expire(ctx context.Context, session *concurrency.Session) error {
	session.Orphan()
	return s.gone(ctx, int64(session.Lease()))
}

// gone waits until a lease is not there any more.
func (s *system) gone(ctx context.Context, lease int64) error {
	waiting, enough := context.WithTimeout(ctx, 30*time.Second)
	defer enough()
	if !oracle.Until(waiting, 50*time.Millisecond, func() bool {
		asking, enough := context.WithTimeout(waiting, time.Second)
		defer enough()
		answer, err := s.client.TimeToLive(asking, clientv3.LeaseID(lease))
		return err == nil && answer.TTL < 0
	}) {
		return fmt.Errorf("lease %s does not expire", hex(lease))
	}
	return nil
}

// insist does what must not be left undone, as etcd may be away for some seconds.
func (s *system) insist(ctx context.Context, do func(context.Context) error) (err error) {
	waiting, enough := context.WithTimeout(ctx, 30*time.Second)
	defer enough()
	oracle.Until(waiting, 200*time.Millisecond, func() bool {
		asking, enough := context.WithTimeout(waiting, 2*time.Second)
		defer enough()
		err = do(asking)
		return err == nil
	})
	return err
}

func (c *contender) act(ctx context.Context, random *rand.Rand) string {
	how := endings[random.IntN(len(endings))]
	holds := time.Duration(random.Int64N(int64(500 * time.Millisecond)))
	patience := 100*time.Millisecond + time.Duration(random.Int64N(int64(700*time.Millisecond)))
	ttl := 60
	if how == byExpiry {
		ttl = shortLease
	}
	asking, enough := context.WithTimeout(ctx, request)
	err := c.open(asking, ttl)
	enough()
	if err != nil {
		return failed("", err)
	}
	mutex := concurrency.NewMutex(c.session, c.lock)
	name := c.lock + "/" + hex(int64(c.session.Lease()))
	c.tries(name)
	switch how {
	case byTry:
		err = c.try(ctx, mutex, name, holds)
	case byGivingUp:
		err = c.acquire(ctx, mutex, patience)
		if err == nil {
			err = c.unlock(ctx, mutex, name)
		} else {
			c.frees(name, c.remove(ctx, name)) // The client does it too.
			err = nil
		}
	case byRevoking:
		err = c.revokeWaiting(ctx, mutex, patience)
	default:
		if err = c.acquire(ctx, mutex, 4*time.Second); err != nil {
			c.frees(name, c.remove(ctx, name))
			return "lock not acquired"
		}
		oracle.Sleep(ctx, holds)
		err = c.lose(ctx, how, mutex, name)
	}
	return failed(how, err)
}

func (c *contender) acquire(ctx context.Context, mutex *concurrency.Mutex, patience time.Duration) error {
	waiting, enough := context.WithTimeout(ctx, patience)
	defer enough()
	return mutex.Lock(waiting)
}

// lose ends a hold.
func (c *contender) lose(ctx context.Context, how string, mutex *concurrency.Mutex, name string) error {
	switch how {
	case byClose:
		return c.close(ctx)
	case byExpiry:
		session := c.session
		c.session = nil
		return c.expire(ctx, session)
	case byDeletion:
		err := c.remove(ctx, name)
		c.frees(name, err)
		return err
	default:
		return c.unlock(ctx, mutex, name)
	}
}

func (c *contender) unlock(ctx context.Context, mutex *concurrency.Mutex, name string) error {
	err := c.insist(ctx, mutex.Unlock)
	c.frees(name, err)
	return err
}

// remove deletes a key.
func (s *system) remove(ctx context.Context, name string) error {
	return s.insist(ctx, func(ctx context.Context) error {
		_, err := s.client.Delete(ctx, name)
		return err
	})
}

// try gives up at once when another one holds the lock.
func (c *contender) try(ctx context.Context, mutex *concurrency.Mutex, name string, holds time.Duration) error {
	waiting, enough := context.WithTimeout(ctx, request)
	defer enough()
	if err := mutex.TryLock(waiting); err != nil {
		if errors.Is(err, concurrency.ErrLocked) {
			c.frees(name, nil)
			return nil
		}
		c.frees(name, c.remove(ctx, name))
		return err
	}
	oracle.Sleep(ctx, holds)
	return c.unlock(ctx, mutex, name)
}

// revokeWaiting revokes the lease of an attempt, which most often waits still.
func (c *contender) revokeWaiting(ctx context.Context, mutex *concurrency.Mutex, patience time.Duration) error {
	waiting, enough := context.WithTimeout(ctx, 10*time.Second)
	defer enough()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = mutex.Lock(waiting) // It ends with its key.
	}()
	oracle.Sleep(ctx, patience)
	err := c.close(ctx)
	enough()
	<-done
	return err
}

func (c *contender) end(ctx context.Context) {
	if c.session != nil {
		_ = c.close(ctx)
	}
}

// candidate campaigns for a leadership that it shares with others.
type candidate struct {
	*system
	election string
}

func (s *system) candidate(election string, number int) oracle.Actor {
	c := &candidate{system: s, election: election}
	return oracle.Actor{Name: fmt.Sprintf("candidate-%d of %s", number, election), Pause: 600 * time.Millisecond, Act: c.act}
}

func (c *candidate) act(ctx context.Context, random *rand.Rand) string {
	how := []string{"resigned", "leader's lease revoked", "leader's lease expired", "candidacy given up"}[random.IntN(4)]
	leads, proclaims := time.Duration(random.Int64N(int64(700*time.Millisecond))), random.IntN(3)
	patience := 300*time.Millisecond + time.Duration(random.Int64N(int64(time.Second)))
	ttl := 60
	if how == "leader's lease expired" {
		ttl = shortLease
	}
	asking, enough := context.WithTimeout(ctx, request)
	session, err := c.newSession(asking, ttl)
	enough()
	if err != nil {
		return failed("", err)
	}
	election := concurrency.NewElection(session, c.election)
	name := c.election + "/" + hex(int64(session.Lease()))
	c.tries(name)
	closes := func() error {
		session.Orphan()
		return c.insist(ctx, func(ctx context.Context) error { return notFound(c.revoke(ctx, int64(session.Lease()))) })
	}
	if how != "candidacy given up" {
		patience = 4 * time.Second
	}
	campaigning, enough := context.WithTimeout(ctx, patience)
	err = election.Campaign(campaigning, "proposal")
	enough()
	if err != nil {
		return failed("candidacy given up", closes())
	}
	for range proclaims {
		proclaiming, enough := context.WithTimeout(ctx, request)
		_ = election.Proclaim(proclaiming, "another proposal")
		enough()
	}
	oracle.Sleep(ctx, leads)
	switch how {
	case "resigned":
		err = c.insist(ctx, election.Resign)
		c.frees(name, err)
		return failed(how, errors.Join(err, closes()))
	case "leader's lease expired":
		return failed(how, c.expire(ctx, session))
	default:
		return failed("leader's lease revoked", closes())
	}
}

// stayer makes attempts that last, and ends them at some time.
func (s *system) stayer(name string) oracle.Actor {
	act := func(ctx context.Context, random *rand.Rand) string {
		which, comes := random.IntN(3), random.IntN(2) == 0
		var there []key
		for _, k := range byCreation(s.history.present()) {
			if strings.HasPrefix(k.name, name+"/") && k.lease != 0 {
				there = append(there, k)
			}
		}
		asking, enough := context.WithTimeout(ctx, request)
		defer enough()
		if len(there) == 0 || len(there) < 3 && comes {
			_, err := s.stay(asking, name)
			return failed("attempt that lasts", err)
		}
		return failed("attempt that has lasted revoked", s.revoke(asking, there[which%len(there)].lease))
	}
	return oracle.Actor{Name: "stayer of " + name, Pause: 1500 * time.Millisecond, Act: act}
}

// intruder puts a key that is no attempt into the queue of a lock.
func (s *system) intruder(lock string) oracle.Actor {
	act := func(ctx context.Context, random *rand.Rand) string {
		stays := time.Duration(random.Int64N(int64(time.Second)))
		asking, enough := context.WithTimeout(ctx, request)
		defer enough()
		if _, err := s.client.Put(asking, lock+"/1", "x"); err != nil {
			return failed("", err)
		}
		oracle.Sleep(ctx, stays)
		return failed("foreign key in a queue", s.remove(ctx, lock+"/1"))
	}
	return oracle.Actor{Name: "intruder of " + lock, Pause: 2 * time.Second, Act: act}
}
