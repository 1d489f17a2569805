// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	// storedPKI is the key under which is stored how far the mounts were told.
	storedPKI = "pki"

	// maxTold is how much of a mount is told at once.
	maxTold = 1000

	// lookAgain is how soon after the last time it is looked again what is to be
	// told: all that is known is gone through.
	lookAgain = time.Second
)

// pki follows the certificates, the issuers and the revocation lists of mounts. It
// asks for one after the other, within a budget. What is to be told is found by
// comparing what is known with what was told, so a consumer that refuses it holds
// nothing back but that.
type pki struct {
	w      *watcher
	cfg    PKIConfig
	budget *rate.Limiter
	news   chan struct{} // There may be something to be told.

	mounts []*pkiMount

	// The goroutine that asks has these.
	begun bool
	turn  int // of the mount that is read next

	mu   sync.Mutex
	term term
}

// pkiMount is one of the mounts.
type pkiMount struct {
	name string // of its setting
	path string // with a slash at its end

	// The goroutine that asks has these.
	listAt     time.Time
	unreadable bool // A certificate was, since the last list.

	state *state.PKIMount // pki.mu guards it.
}

// endpoints are those by which parts of the mount are denied.
func (m *pkiMount) endpoints() (all []string) {
	for _, part := range []string{"certs", "certs/revoked", "cert/+", "issuers", "issuer/+", "issuer/+/crl", "roles", "roles/+"} {
		all = append(all, m.path+part)
	}
	return all
}

func newPKI(w *watcher) *pki {
	p := &pki{w: w, cfg: w.cfg.PKI, budget: rate.NewLimiter(rate.Limit(w.cfg.PKI.RequestsPerSecond), 1), news: make(chan struct{}, 1)}
	for i, path := range p.cfg.Mounts {
		m := &pkiMount{name: fmt.Sprintf("pki::mounts[%d]", i), path: strings.Trim(path, "/") + "/"}
		p.reset(m)
		p.mounts = append(p.mounts, m)
		w.endpoints.pace(p.cfg.Interval, m.endpoints()...)
	}
	return p
}

func (p *pki) reset(m *pkiMount) {
	m.state = &state.PKIMount{Warning: p.cfg.ExpiryWarning, Lifetimes: p.cfg.Lifetimes}
}

func (p *pki) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { p.ask(ctx) })
	p.tell(ctx)
}

// ask asks until ctx ends.
func (p *pki) ask(ctx context.Context) {
	turned := p.w.turns()
	for p.w.wait(ctx, p.w.asked) {
		rest := p.soon(1)
		if possible, term := p.w.possible(); possible {
			p.begin(ctx, term)
			rest = p.next(ctx)
		} else {
			p.rest()
		}
		if rest <= 0 {
			continue
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-turned:
			for _, m := range p.mounts {
				m.listAt = time.Time{}
			}
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// begin takes in which term it is.
func (p *pki) begin(ctx context.Context, now term) {
	p.mu.Lock()
	before := p.term
	p.mu.Unlock()
	if p.begun && before == now {
		return
	}
	var told pkiTold
	if !p.begun {
		told, _ = resume(ctx, p.w, storedPKI, now, func(told pkiTold) string { return told.Cluster })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.mounts {
		if before.Cluster != now.Cluster {
			p.reset(m)
		}
		m.listAt = time.Time{}
		m.state.Begin(time.Now(), told.Mounts[m.path])
	}
	p.term, p.begun = now, true
}

// rest takes in that nothing can be asked now, which is no failure.
func (p *pki) rest() {
	for _, m := range p.mounts {
		p.w.Condition.Set(m.name, nil)
		p.w.endpoints.rest(m.endpoints()...)
	}
}

// next asks for what is due next, and returns how long there is nothing more.
func (p *pki) next(ctx context.Context) time.Duration {
	now, soonest := time.Now(), p.cfg.Interval
	for _, m := range p.mounts {
		if !now.Before(m.listAt) {
			again := p.list(ctx, m)
			m.listAt = time.Now().Add(again) // From its end: a list that takes longer than that must not keep certificates from being read.
			return 0
		}
		soonest = min(soonest, m.listAt.Sub(now))
	}
	for range p.mounts {
		m := p.mounts[p.turn]
		p.turn = (p.turn + 1) % len(p.mounts)
		p.mu.Lock()
		serial, ok := m.state.Next()
		p.mu.Unlock()
		if !ok {
			p.w.endpoints.restFailed(m.path + "cert/+") // None is to be read any more.
			continue
		}
		if !p.w.endpoints.off(now, m.path+"cert/+") {
			return p.read(ctx, m, serial)
		}
		p.learn(m.state.RevokedUnseen)
	}
	return soonest
}

// request makes a request for one part, within the budget, unless it is known to
// be denied or cannot be asked.
func request[T any](ctx context.Context, p *pki, endpoint string, ask func(context.Context) (T, error)) (value T, ok bool) {
	if p.w.endpoints.off(time.Now(), endpoint) || p.budget.Wait(ctx) != nil {
		return value, false
	}
	possible, now := p.w.possible()
	var unused answer[T]
	value, ok = poll(ctx, p.w, endpoint, possible && now == p.term, &unused, ask)
	_, still := p.w.possible()
	return value, ok && still == p.term
}

// learn has something taken in, and told if need be.
func (p *pki) learn(take func(now time.Time)) {
	p.mu.Lock()
	take(time.Now())
	p.mu.Unlock()
	p.wake()
}

func (p *pki) wake() {
	signal(p.news)
}

// soon is as many intervals of what needs a token, or one of this if it is shorter.
func (p *pki) soon(intervals time.Duration) time.Duration {
	return min(p.cfg.Interval, intervals*p.w.cfg.Scrape.CollectionInterval)
}

// list lists what there is in a mount, and returns after how long it is to be
// listed again.
func (p *pki) list(ctx context.Context, m *pkiMount) time.Duration {
	engine, err := p.engine(ctx, m)
	if err != nil && ctx.Err() == nil && refusedWith(err) == 0 && !p.w.leads(ctx) {
		return p.soon(1) // The server says so itself.
	}
	p.w.Condition.Set(m.name, err)
	switch {
	case refusedWith(err) == http.StatusForbidden:
		return deniedEvery * p.cfg.Interval // Another token is tried at once.
	case err != nil:
		return p.soon(deniedEvery)
	}
	p.listIssuers(ctx, m)
	p.listRoles(ctx, m, engine.maxTTL)
	if !p.listCertificates(ctx, m) {
		return p.soon(deniedEvery)
	}
	if !m.unreadable {
		p.w.Condition.Set(m.path+"certificates", nil)
	}
	m.unreadable = false
	return p.cfg.Interval
}

// engine makes sure that the mount is of the kind that it should be.
func (p *pki) engine(ctx context.Context, m *pkiMount) (engine pkiEngine, err error) {
	if err = p.budget.Wait(ctx); err != nil {
		return engine, err
	}
	engine, err = p.w.client.Mount(ctx, strings.TrimSuffix(m.path, "/"))
	switch {
	case refusedWith(err) != 0:
		return engine, fmt.Errorf("%s: there is no mount %s, or the token may use nothing of it: name the path of a PKI secrets engine, and give the token the policy that the README has for it: %w", m.name, m.path, err)
	case err != nil:
		return engine, err
	case engine.path != m.path:
		return engine, fmt.Errorf("%s: %s is no mount, but within %s: name the path of a PKI secrets engine", m.name, m.path, engine.path)
	case engine.kind != "pki":
		return engine, fmt.Errorf("%s: %s is not a PKI secrets engine, but one of type %s: name the path of a PKI secrets engine", m.name, m.path, engine.kind)
	}
	return engine, nil
}

func (p *pki) listIssuers(ctx context.Context, m *pkiMount) {
	mount := strings.TrimSuffix(m.path, "/")
	issuers, ok := request(ctx, p, m.path+"issuers", func(ctx context.Context) (map[string]state.IssuerInfo, error) { return p.w.client.Issuers(ctx, mount) })
	if !ok {
		return
	}
	var unread, signing []string
	p.learn(func(now time.Time) {
		m.state.ListIssuers(now, issuers)
		unread, signing = m.state.UnreadIssuers(), m.state.SigningIssuers()
	})
	for _, id := range unread {
		if certificate, ok := request(ctx, p, m.path+"issuer/+", func(ctx context.Context) (*x509.Certificate, error) { return p.w.client.Issuer(ctx, mount, id) }); ok {
			p.learn(func(time.Time) { m.state.ReadIssuer(id, certificate) })
		}
	}
	for _, id := range signing {
		if list, ok := request(ctx, p, m.path+"issuer/+/crl", func(ctx context.Context) (state.RevocationList, error) {
			return p.w.client.RevocationList(ctx, mount, id)
		}); ok {
			p.learn(func(now time.Time) { m.state.ReadRevocationList(now, id, list) })
		}
	}
}

// listRoles reads all roles. When one of them cannot be read, none of the others is
// known to be the only one that allows a certificate.
func (p *pki) listRoles(ctx context.Context, m *pkiMount, maxTTL time.Duration) {
	if !p.cfg.Roles {
		return
	}
	mount := strings.TrimSuffix(m.path, "/")
	names, ok := request(ctx, p, m.path+"roles", func(ctx context.Context) ([]string, error) { return p.w.client.Roles(ctx, mount) })
	roles := map[string]state.Role{}
	for _, name := range names {
		if !ok {
			break
		}
		var role *state.Role
		role, ok = request(ctx, p, m.path+"roles/+", func(ctx context.Context) (*state.Role, error) { return p.w.client.Role(ctx, mount, name) })
		if role != nil {
			roles[name] = *role
		}
	}
	now := time.Now()
	denied := p.w.endpoints.off(now, m.path+"roles") || p.w.endpoints.off(now, m.path+"roles/+")
	p.learn(func(time.Time) {
		if ok {
			m.state.SetRoles(roles, maxTTL)
		} else if denied {
			m.state.LoseRoles()
		}
	})
}

// listCertificates is false when it is to be tried again soon.
func (p *pki) listCertificates(ctx context.Context, m *pkiMount) bool {
	ask := func(part string) (serials, bool) {
		return request(ctx, p, m.path+part, func(ctx context.Context) (serials, error) { return p.w.client.Certificates(ctx, m.path+part) })
	}
	certificates, known := ask("certs")
	revoked, revokedKnown := ask("certs/revoked")
	p.learn(func(now time.Time) {
		if known {
			limit := p.cfg.Limit
			for _, other := range p.mounts {
				if other != m {
					limit -= other.state.Followed()
				}
			}
			m.state.List(now, certificates.known, certificates.unknown, limit)
		}
		if revokedKnown {
			m.state.ListRevoked(now, revoked.known, revoked.unknown)
		}
	})
	return known || p.w.endpoints.off(time.Now(), m.path+"certs")
}

// read reads a certificate, and returns how long nothing can be read.
func (p *pki) read(ctx context.Context, m *pkiMount, serial state.Serial) time.Duration {
	endpoint := m.path + "cert/+"
	var fault error // of the certificate, rather than of the server
	found, ok := request(ctx, p, endpoint, func(ctx context.Context) (issued, error) {
		found, err := p.w.client.Certificate(ctx, strings.TrimSuffix(m.path, "/"), serial)
		if unserved(err) && p.w.leads(ctx) {
			fault, err = err, nil
		}
		return found, err
	})
	switch {
	case ctx.Err() != nil:
		return 0
	case !ok:
		if p.w.endpoints.off(time.Now(), endpoint) {
			return 0 // Others may be read.
		}
		return p.soon(1)
	case fault != nil:
		p.fail(m, serial, fmt.Errorf("%s: certificate %s cannot be read, and is asked for again: %w", m.path, serial, fault))
		return 0
	case found.text == "":
		p.learn(func(time.Time) { m.state.Forget(serial) })
		return 0
	}
	certificate, err := state.ParseCertificate(found.text)
	if err != nil {
		p.fail(m, serial, fmt.Errorf("%s: certificate %s %w", m.path, serial, err))
		return 0
	}
	p.learn(func(now time.Time) { m.state.Read(now, serial, certificate, found.revoked) })
	return 0
}

// unserved says whether Vault refused one thing, and may answer others: not
// because of the token, nor of too many requests, nor because it is sealed.
func unserved(err error) bool {
	refused := refusedWith(err)
	return refused == http.StatusBadRequest || refused >= http.StatusInternalServerError && !errors.Is(err, errSealed)
}

// fail takes in that a certificate cannot be read now, which holds no other back.
func (p *pki) fail(m *pkiMount, serial state.Serial, err error) {
	p.learn(func(time.Time) { m.state.Unreadable(serial) })
	m.unreadable = true
	p.w.Condition.Set(m.path+"certificates", err)
}

// pkiTold is what is stored of all mounts, by their paths.
type pkiTold struct {
	Cluster string
	Mounts  map[string]state.PKIProgress
}

// pkiDue is what is to be reported of a mount, in a term.
type pkiDue struct {
	mount   *pkiMount
	effects []state.PKIEffect
}

// tell tells what has come to pass, until ctx ends.
func (p *pki) tell(ctx context.Context) {
	var due []pkiDue
	var of term
	var again time.Time // when to look; zero: when there is news
	watch.Loop[struct{}]{
		Next: func(ctx context.Context) (struct{}, error) { return struct{}{}, p.await(ctx, again) },
		Step: func(now time.Time, _ struct{}) watch.Telemetry {
			found, in, next := p.due(now)
			if again = next; len(found) > 0 {
				due, of = found, in // to be stored once it is delivered
			}
			return p.render(now, in, found)
		},
		Delivery: p.w.Delivery(),
		Commit: func(ctx context.Context) {
			if told, ok := p.progress(of, due); ok {
				p.w.Condition.Set(storageState, p.w.store.Save(ctx, storedPKI, told))
			}
		},
		Condition: func(error) {}, // Each endpoint has one of its own.
	}.Run(ctx)
}

// await waits until there is news or it is time to look again, but for some time.
func (p *pki) await(ctx context.Context, again time.Time) error {
	pause(ctx, min(lookAgain, p.cfg.Interval))
	if again.IsZero() {
		select {
		case <-p.news:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	timer := time.NewTimer(time.Until(again))
	defer timer.Stop()
	select {
	case <-p.news:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// due takes what is to be reported now, in which term, and when to look again.
func (p *pki) due(now time.Time) (due []pkiDue, of term, again time.Time) {
	possible, of := p.w.possible()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !possible || of != p.term {
		return nil, of, again // There is news when it is possible again.
	}
	for _, m := range p.mounts {
		effects, next := m.state.Due(now, maxTold)
		due = append(due, pkiDue{m, effects})
		m.state.Told(effects, !next.Equal(now)) // It is delivered, or dropped at Shutdown before it is stored.
		if !next.IsZero() && (again.IsZero() || next.Before(again)) {
			again = next
		}
	}
	return due, of, again
}

func (p *pki) render(now time.Time, of term, due []pkiDue) watch.Telemetry {
	stories := make([]telemetry.PKIStory, 0, len(due))
	for _, d := range due {
		stories = append(stories, telemetry.PKIStory{Cluster: of.Cluster, Mount: d.mount.path, Lifetimes: p.cfg.Lifetimes, Effects: d.effects})
	}
	return p.w.story.RenderPKI(now, p.w.resource(), stories)
}

// progress returns what is to be stored after all of it was delivered, unless it
// is of another cluster.
func (p *pki) progress(of term, due []pkiDue) (told pkiTold, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of.Cluster != p.term.Cluster || len(due) == 0 {
		return told, false
	}
	told = pkiTold{Cluster: of.Cluster, Mounts: map[string]state.PKIProgress{}}
	for _, d := range due {
		told.Mounts[d.mount.path] = d.mount.state.Progress()
	}
	return told, true
}

func (p *pki) record(mb *metadata.MetricsBuilder, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.mounts {
		telemetry.RecordPKI(mb, pcommon.NewTimestampFromTime(now), m.path, m.state.Count(now, max(2*p.cfg.Interval, stale)))
	}
}
