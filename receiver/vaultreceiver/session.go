// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	// lookEvery is how often the token is looked up.
	lookEvery = time.Minute

	// restlessly is the shortest time between two logins in a row of which the
	// tokens are denied, and retryAtMost the longest pause after a failure.
	restlessly  = 5 * time.Second
	retryAtMost = 5 * time.Second

	// shortestTurn keeps a token with a tiny TTL from being renewed all the time.
	shortestTurn = 500 * time.Millisecond
)

// session has the token that requests are made with. It keeps one that it
// logged in for alive, also while nobody takes what it has to tell.
type session struct {
	client *client
	cfg    OwnTokenConfig
	every  time.Duration // in which a file that has changed is found
	source metadata.AttributeVaultOwnTokenSource
	given  tokenfile.Source // without a method
	method *method          // nil: the token is given
	logger *zap.Logger
	report func(endpoint string, err error)
	rest   func(endpoints ...string) // They are not asked now, which is no failure.
	fresh  func()                    // called when another token works, or one works again
	nudges chan struct{}

	mu      sync.Mutex
	token   string // with a method; empty: it is not logged in
	sight   state.OwnSight
	changed chan struct{} // closed when the sight may be another
	cluster identity

	// What follows belongs to the loop of keep.
	life     state.OwnLife
	renewals int
	fixed    string    // the ID of a given token that may not be renewed
	loggedIn time.Time // last
	tried    [sha256.Size]byte
	refusals int
	again    time.Time // when credentials that were refused are tried again
	looked   string    // the ID of the token that was looked up last
	doubted  bool      // a request with it was denied
	checked  bool      // whether there are namespaces
}

func newSession(cfg *Config, client *client) *session {
	source, given := cfg.source()
	return &session{
		client:  client,
		cfg:     cfg.OwnToken,
		every:   cfg.Scrape.CollectionInterval,
		source:  source,
		given:   given,
		method:  cfg.method(),
		logger:  zap.NewNop(),
		report:  func(string, error) {},
		rest:    func(...string) {},
		fresh:   func() {},
		nudges:  make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
}

// attach has the session report how its requests are doing, and that another
// token works.
func (s *session) attach(logger *zap.Logger, to *endpoints, fresh func()) {
	s.logger, s.rest, s.fresh = logger, to.rest, fresh
	s.report = func(endpoint string, err error) { to.set(time.Now(), endpoint, err) }
}

// configured says whether there is a way to a token.
func (s *session) configured() bool {
	return s.method != nil || s.given != tokenfile.Source{}
}

// hasToken says whether there is a token now.
func (s *session) hasToken() bool {
	if s.method == nil {
		return s.configured()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token != ""
}

// Read returns the token, empty while it is not logged in.
func (s *session) Read() (string, error) {
	if s.method == nil {
		return s.given.Read()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, nil
}

// Sight returns what is known of the token, and a channel that is closed when
// that changes.
func (s *session) Sight() (state.OwnSight, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sight, s.changed
}

func (s *session) see(change func(state.OwnSight) state.OwnSight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sight = change(s.sight)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *session) use(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// nudge has the token looked up soon, as a request was denied.
func (s *session) nudge() {
	signal(s.nudges)
}

// keep keeps the token alive and looks it up until ctx ends.
func (s *session) keep(ctx context.Context) {
	if !s.configured() || s.method == nil && !s.cfg.Enabled {
		return
	}
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = retryAtMost
	for {
		next, err := s.turn(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			next = time.Now().Add(retry.NextBackOff())
		} else {
			retry.Reset()
		}
		s.see(func(now state.OwnSight) state.OwnSight { return now }) // Its end is nearer.
		if !s.wait(ctx, next) {
			return
		}
	}
}

// wait returns when the next turn is due: at a time, when a request was denied,
// or when a file has another content. It is false when ctx has ended.
func (s *session) wait(ctx context.Context, until time.Time) bool {
	for {
		timer := time.NewTimer(min(time.Until(until), s.every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-s.nudges:
			timer.Stop()
			if sight, _ := s.Sight(); sight.Works { // else it is known
				s.doubted = true
				return true
			}
		case <-timer.C:
			if !time.Now().Before(until) || s.rotated() {
				return true
			}
		}
	}
}

// rotated says whether a file has another content than the last turn knew.
func (s *session) rotated() bool {
	if s.method == nil {
		token, err := s.given.Read()
		return err == nil && id(token) != s.looked
	}
	if s.refusals == 0 {
		return false // It is read at the next login.
	}
	with, err := s.method.read()
	return err == nil && with.id() != s.tried
}

// turn does what is due, and returns when the next turn is.
func (s *session) turn(ctx context.Context) (next time.Time, err error) {
	server, err := s.client.Health(ctx)
	if err != nil {
		return next, err // The receiver says so already.
	}
	if !server.Initialized || server.Sealed || server.DRSecondary || server.Connection == state.Broken {
		s.quiet() // What cannot be answered now is not denied.
		return time.Now().Add(s.every), nil
	}
	s.learn(server)
	s.checkNamespace(ctx)
	if err := s.keepAlive(ctx); err != nil {
		return next, err
	}
	if s.hasToken() && (s.cfg.Enabled || s.doubted) {
		err = s.look(ctx)
	} else {
		s.rest(endpointLookup)
	}
	s.doubted = false
	return s.next(time.Now()), err
}

func (s *session) learn(server state.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster.learn(server)
}

// next returns when something is due.
func (s *session) next(now time.Time) time.Time {
	next := now.Add(lookEvery)
	action, due := s.life.Next()
	switch {
	case !s.hasToken():
		next = s.loggedIn.Add(restlessly)
		if s.refusals > 0 {
			next = s.again
		}
	case action == state.Rest:
	case s.refusals > 0: // The old token works yet, and its end is to be told in time.
		next = earlier(earlier(next, s.again), now.Add(s.life.TTL/8))
	default:
		next = earlier(next, due)
	}
	if soonest := now.Add(shortestTurn); next.Before(soonest) {
		return soonest
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// quiet takes in that the server cannot say anything about tokens now.
func (s *session) quiet() {
	s.rest(endpointLookup, endpointRenew)
	if s.method != nil {
		s.rest(s.method.endpoint)
	}
}

// keepAlive renews the token or logs in, if that is due.
func (s *session) keepAlive(ctx context.Context) error {
	action, due := s.life.Next()
	if !s.hasToken() {
		action, due = state.LogIn, s.loggedIn.Add(restlessly)
	}
	now := time.Now()
	if action == state.Renew && !due.After(now) {
		if err := s.renew(ctx); err != nil {
			return err
		}
		action, due = s.life.Next()
	}
	if action == state.LogIn && !due.After(now) {
		return s.logIn(ctx)
	}
	return nil
}

// logIn logs in, unless what was refused is to wait.
func (s *session) logIn(ctx context.Context) error {
	with, err := s.method.read()
	if err != nil {
		s.report(s.method.endpoint, err)
		return err
	}
	if s.refusals > 0 && with.id() == s.tried && time.Now().Before(s.again) {
		return nil
	}
	began := time.Now()
	auth, err := s.method.logIn(ctx, with, s.client.as(""))
	s.client.requests.Count(s.method.endpoint, err)
	if errors.Is(err, errSealed) { // since a moment ago
		return err
	}
	s.report(s.method.endpoint, err)
	if errors.Is(err, errRefused) {
		s.refusals++
		s.tried, s.again = with.id(), time.Now().Add(state.RefusedPause(s.refusals, s.method.longest))
		if !s.hasToken() {
			s.see(func(now state.OwnSight) state.OwnSight { return now.Deny(state.LoginRefused) })
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.refusals, s.renewals, s.loggedIn = 0, 0, began
	ttl := time.Duration(auth.LeaseDuration) * time.Second
	s.life = state.OwnLife{LogsIn: true}.Given(began, ttl, auth.Renewable)
	s.use(auth.ClientToken)
	s.accept(auth.ClientToken, began, ttl, time.Time{})
	return nil
}

// accept takes in that a token works: for ttl from now, or without end.
func (s *session) accept(token string, now time.Time, ttl time.Duration, until time.Time) {
	own := state.OwnToken{ID: id(token), Known: true, Until: until, Renewals: s.renewals, Kept: s.life.Longest}
	if ttl > 0 {
		own.Expires = now.Add(ttl)
	}
	s.adopt(own)
}

// adopt takes in what is known of a token that works.
func (s *session) adopt(own state.OwnToken) {
	before, _ := s.Sight()
	s.see(func(now state.OwnSight) state.OwnSight { return now.Accept(own) })
	if !before.Works || before.Token.ID != own.ID {
		s.fresh()
	}
}

// id tells two tokens apart. It is not for telling.
func id(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
