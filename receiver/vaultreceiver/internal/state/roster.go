// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strings"
	"time"
)

const (
	// askAgain is how long one is left alone that could not be asked for.
	askAgain = time.Minute

	// When Vault lists one but says nothing of it, it is left alone for as long again
	// as it has been listed, but no shorter and no longer than this.
	askSoon   = time.Second
	askSeldom = time.Hour

	// maxRenewals is how many renewals of one are remembered, the newest.
	maxRenewals = 16

	// What is left is told in whole seconds, reckoned from a time that is rounded.
	leftTooMuch, leftTooLittle = time.Second, 2 * time.Second
)

// Facts are what Vault answers of one lease or token.
type Facts struct {
	Issued  time.Time
	Expires time.Time // zero: never
	Renewed time.Time // the last time; zero: never

	// Left is how long it is until Expires, in whole seconds. As the clocks of
	// Vault and of who asks may differ, that is what deadlines are made of.
	Left time.Duration

	Renewable bool
}

// Roster follows what is listed by ID and asked for one by one: leases, or
// tokens, with the details D. Vault tells neither that one was issued, renewed
// or ended, nor why. So the lists tell which there are, and each is asked for
// when it is new, when it is about to expire, and when it should have expired
// and is still listed, if it could be renewed. An ID is in one part, such as a
// prefix, and each part has lists of its own.
type Roster[D any] struct {
	limit   int
	warning time.Duration
	settle  time.Duration

	known  map[string]*life[D]
	parts  map[string]*part
	soon   dues[D] // what is new, and what is to be asked for again
	later  dues[D] // the baseline, which waits
	unread int

	version uint64
}

// part is of what has lists of its own.
type part struct {
	name    string
	begun   int64 // when its first list was complete; 0: not yet
	list    uint32
	listing bool
	beyond  int                 // of the newest complete list, the number not followed
	over    int                 // of the list that is being made
	gone    map[string]struct{} // found gone during the list, which may name them
	read    map[string]int64    // when each folder of the list was, unless there are too many
	folders int                 // that were read
}

// life is what is known of one. Times are in nanoseconds, 0 where there is none.
type life[D any] struct {
	id     string
	part   *part
	detail D

	seen, issued, expires, renewed, ttl int64

	// By the clock of who asks, it does not expire before sure, should have at
	// expected, and has at late. All are 0 when it does not, or is not read.
	sure, expected, late int64

	due        int64 // when to ask for it; 0: not any more
	index      int32 // in its queue, -1: in none
	list       uint32
	read       bool
	waits      bool // in the queue of the baseline
	news       bool // that it was issued is to be told
	doubtful   bool // whether it is news, its time of issue tells
	reconciled bool // as it was issued in a time in which nobody looked
	resumed    bool // not seen since an earlier process saved it
	renewable  bool
	warned     bool // in its time of warning it was not renewed
	outlived   bool // it was there when it had expired
	shortened  bool // it is being revoked
	dropped    uint16
	renewals   []Renewal
}

// NewRoster follows at most limit, and tells that one is about to expire the
// time of warning before, or a quarter of its TTL if that is less. One that is
// first seen is left alone for the time to settle.
func NewRoster[D any](limit int, warning, settle time.Duration) *Roster[D] {
	return &Roster[D]{limit: limit, warning: warning, settle: settle, known: map[string]*life[D]{}, parts: map[string]*part{}}
}

// Version is another one whenever there is something else to be saved.
func (r *Roster[D]) Version() uint64 { return r.version }

// Begin begins a list of a part; one that was not finished counts for nothing
// that is absent from it.
func (r *Roster[D]) Begin(name string) {
	p := r.part(name)
	p.list++
	p.listing, p.over, p.gone, p.read, p.folders = true, 0, nil, nil, 0
}

// Read takes in that a folder, such as database/creds/app/, was read at now for
// the list that was begun, so that what is absent from it had ended by then. A
// list of many folders takes minutes.
func (r *Roster[D]) Read(now time.Time, name, folder string) {
	p := r.part(name)
	if p.folders++; p.folders > r.limit { // Then only the end of the list is known.
		p.read = nil
		return
	}
	if p.read == nil {
		p.read = map[string]int64{}
	}
	p.read[folder] = now.UnixNano()
}

// absent returns when an ID was found absent from a list that has ended at now:
// when its folder was read, or the one above that did not name the folder.
func (p *part) absent(now time.Time, id string) time.Time {
	for folder := id; len(p.read) > 0 && folder != ""; {
		folder = folder[:strings.LastIndexByte(strings.TrimSuffix(folder, "/"), '/')+1]
		if read := p.read[folder]; read > 0 {
			return instant(read)
		}
	}
	return now
}

func (r *Roster[D]) part(name string) *part {
	p := r.parts[name]
	if p == nil {
		p = &part{name: name}
		r.parts[name] = p
	}
	return p
}

// See takes in that the list that was begun names an ID. gap says that nobody
// could look for some time before.
func (r *Roster[D]) See(now time.Time, name, id string, gap bool) {
	p := r.part(name)
	if l := r.known[id]; l != nil {
		l.list, l.resumed = l.part.list, false
		r.outlives(l, now.UnixNano())
		return
	}
	if _, gone := p.gone[id]; gone {
		return
	}
	if len(r.known) >= r.limit {
		p.over++
		return
	}
	l := &life[D]{id: strings.Clone(id), part: p, seen: now.UnixNano(), list: p.list, index: -1, reconciled: gap}
	l.news, l.doubtful = p.begun > 0 && p.beyond == 0, p.begun > 0 && p.beyond > 0
	l.waits = !l.news
	r.known[l.id] = l
	r.unread++
	r.version++
	r.ask(l, now.Add(r.settle).UnixNano())
}

// outlives takes in that one is there, after it should have expired. If it can
// be renewed it may have been, and is asked for.
func (r *Roster[D]) outlives(l *life[D], now int64) {
	if l.late == 0 || now < l.late || l.outlived {
		return
	}
	if l.renewable {
		if l.due == 0 {
			r.ask(l, now)
		}
		return
	}
	l.outlived = true
	r.version++
}

// Finish ends a list of a part, at now: what is absent has ended, and one that
// was revoked did so when it was found absent, not when the whole list had been
// made. The first list is the baseline, so what it names is no news.
func (r *Roster[D]) Finish(now time.Time, name string, gap bool) (effects []LifeEffect[D]) {
	p := r.part(name)
	if !p.listing {
		return nil
	}
	p.listing, p.beyond = false, p.over
	if p.begun == 0 {
		p.begun = now.UnixNano()
		r.version++
	}
	var ended []*life[D]
	for _, l := range r.known {
		if l.part == p && l.list != p.list {
			ended = append(ended, l)
		}
	}
	slices.SortFunc(ended, func(a, b *life[D]) int { return strings.Compare(a.id, b.id) })
	for _, l := range ended {
		effects = append(effects, r.end(l, p.absent(now, l.id), gap)...)
	}
	p.read = nil
	return effects
}

// Due returns which one to ask for at now, if there is one.
func (r *Roster[D]) Due(now time.Time) (id string, ok bool) {
	for _, q := range []dues[D]{r.soon, r.later} {
		if len(q) > 0 && q[0].due <= now.UnixNano() {
			return q[0].id, true
		}
	}
	return "", false
}

// Answer takes in an answer, to a question of asked, which came at now. The
// details stay as they are when there are none.
func (r *Roster[D]) Answer(asked, now time.Time, id string, f Facts, detail *D) (effects []LifeEffect[D]) {
	l := r.known[id]
	if l == nil {
		return nil
	}
	r.version++
	was := *l
	if detail != nil {
		l.detail = *detail
	}
	l.resumed, l.read, l.renewable = false, true, f.Renewable
	l.issued, l.expires, l.renewed = nano(f.Issued), nano(f.Expires), nano(f.Renewed)
	if !was.read {
		r.unread--
		effects = l.introduce(effects)
	}
	switch {
	case l.renewed > was.renewed:
		l.warned, l.outlived, l.shortened = false, false, false
		renewal := Renewal{At: f.Renewed}
		if l.expires > 0 {
			renewal.TTL = max(0, f.Expires.Sub(f.Renewed))
		}
		l.remember(renewal)
		if was.read || l.news {
			effects = append(effects, l.told(LifeRenewed, f.Renewed, false))
		}
	case was.read && l.expires > 0 && l.expires < was.expires:
		l.shortened = true // Revoking begins with that.
	}
	l.news = false
	switch {
	case l.expires == 0:
		l.sure, l.expected, l.late = 0, 0, 0
		l.warned, l.outlived, l.shortened = false, false, false
	case !was.read || l.expires != was.expires:
		left := max(0, f.Left)
		l.sure, l.expected = asked.Add(left-leftTooMuch).UnixNano(), asked.Add(left).UnixNano()
		l.late = now.Add(left + leftTooLittle).UnixNano()
	case asked.UnixNano() >= l.late:
		l.outlived = true // What has expired can be renewed no more.
	}
	return r.schedule(l, now, effects)
}

// introduce tells of one that was issued since the baseline.
func (l *life[D]) introduce(effects []LifeEffect[D]) []LifeEffect[D] {
	if l.doubtful {
		l.news, l.doubtful = l.issued > l.part.begun, false
	}
	if l.renewed == 0 && l.expires > 0 {
		l.ttl = max(0, l.expires-l.issued)
	}
	if !l.news {
		return effects
	}
	return append(effects, l.told(LifeCreated, instant(l.issued), l.reconciled))
}

// schedule concludes when to ask again, and tells of one that expires soon.
func (r *Roster[D]) schedule(l *life[D], now time.Time, effects []LifeEffect[D]) []LifeEffect[D] {
	if l.expires == 0 || l.outlived || l.shortened {
		r.ask(l, 0)
		return effects
	}
	warn := l.expected - int64(min(r.warning, time.Duration(l.expires-max(l.issued, l.renewed))/4))
	if now.UnixNano() < warn {
		r.ask(l, warn)
		return effects
	}
	r.ask(l, 0)
	if !l.warned && now.UnixNano() < l.expected {
		effects = append(effects, l.told(LifeExpiring, now, false))
	}
	l.warned = true
	return effects
}

// Gone takes in that Vault knows an ID no more.
func (r *Roster[D]) Gone(now time.Time, id string) []LifeEffect[D] {
	l := r.known[id]
	if l == nil {
		return nil
	}
	if p := l.part; p.listing && len(p.gone) < r.limit {
		if p.gone == nil {
			p.gone = map[string]struct{}{}
		}
		p.gone[l.id] = struct{}{}
	}
	return r.end(l, now, false)
}

// Failed takes in that one could not be asked for, which is left alone for a while.
func (r *Roster[D]) Failed(now time.Time, id string) {
	if l := r.known[id]; l != nil {
		r.version++
		r.ask(l, now.Add(askAgain).UnixNano())
	}
}

// Silent takes in that Vault lists one but says nothing of it, as while it is
// revoked. Should that last, it is asked for ever more seldom.
func (r *Roster[D]) Silent(now time.Time, id string) {
	if l := r.known[id]; l != nil {
		r.version++
		pause := time.Duration(now.UnixNano() - l.seen)
		r.ask(l, now.Add(min(max(askSoon, pause), askSeldom)).UnixNano())
	}
}

// Change changes the details of one, if it is followed; change says whether it
// has done so.
func (r *Roster[D]) Change(id string, change func(*D) bool) {
	if l := r.known[id]; l != nil && change(&l.detail) {
		r.version++
	}
}

// ChangeNew changes the details of those of a part that were first seen since a
// time. The time of issue is zero when it is not known. The order is of no meaning.
func (r *Roster[D]) ChangeNew(since time.Time, part string, change func(id string, issued time.Time, detail *D) bool) {
	for _, l := range r.known {
		if l.part.name == part && l.seen >= since.UnixNano() && change(l.id, instant(l.issued), &l.detail) {
			r.version++
		}
	}
}

// end forgets one that has ended, which was found out at now, and tells of it.
func (r *Roster[D]) end(l *life[D], now time.Time, gap bool) (effects []LifeEffect[D]) {
	r.version++
	r.ask(l, 0)
	delete(r.known, l.id)
	if !l.read {
		r.unread--
	}
	if l.news { // Only its end tells of it.
		effects = append(effects, l.told(LifeCreated, instant(l.seen), true))
	}
	gap = gap || l.resumed
	e := l.told(LifeEnded, now, gap)
	e.Life.Cause, e.Life.Confidence = l.cause(now.UnixNano())
	if e.Life.Cause == EndExpired || l.shortened {
		e.At = instant(l.expires)
	}
	e.Life.Ended = e.At
	return append(effects, e)
}

// cause concludes why one is gone that was found gone at now. Before its time
// to expire, it was revoked: if it can be renewed, a renewal may have shortened
// that time instead. After it, it expired, surely so if it was there then, as
// what has expired can no more be renewed; else it may also have been revoked
// since it was seen last. If it can be renewed and was not asked for shortly
// before, it may have been renewed, and nothing can be said.
func (l *life[D]) cause(now int64) (EndCause, EndConfidence) {
	switch {
	case !l.read:
		return EndUnknown, NotConfident
	case l.shortened, l.expires == 0, now < l.sure && !l.renewable:
		return EndRevoked, Certain
	case now < l.sure:
		return EndRevoked, Likely
	case l.outlived:
		return EndExpired, Certain
	case !l.renewable, l.warned && !l.resumed:
		return EndExpired, Likely
	default:
		return EndUnknown, NotConfident
	}
}

// remember keeps the newest renewals.
func (l *life[D]) remember(renewal Renewal) {
	if len(l.renewals) < maxRenewals {
		l.renewals = append(l.renewals, renewal)
		return
	}
	copy(l.renewals, l.renewals[1:])
	l.renewals[maxRenewals-1] = renewal
	l.dropped++
}

func (l *life[D]) told(event LifeEvent, at time.Time, reconciled bool) LifeEffect[D] {
	return LifeEffect[D]{Event: event, At: at, Reconciled: reconciled, Life: Life[D]{
		ID: l.id, Part: l.part.name, Detail: l.detail,
		Read: l.read, BeganBefore: !l.read && !l.news,
		Seen: instant(l.seen), Issued: instant(l.issued), Expires: instant(l.expires), Expected: instant(l.expected),
		TTL: time.Duration(l.ttl), Renewable: l.renewable,
		Renewals: slices.Clone(l.renewals), DroppedRenewals: int(l.dropped),
	}}
}

func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(nano int64) time.Time {
	if nano == 0 {
		return time.Time{}
	}
	return time.Unix(0, nano)
}
