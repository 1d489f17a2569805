// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"container/list"
	"strings"
	"time"
)

// Exchange is a request and its response, or one of them alone.
type Exchange struct {
	Request, Response *Entry // nil: it is not known
}

// Whole says whether both are known.
func (x Exchange) Whole() bool { return x.Request != nil && x.Response != nil }

// Known is the one that says more.
func (x Exchange) Known() *Entry {
	if x.Response != nil {
		return x.Response
	}
	return x.Request
}

// Pairing brings requests and responses together, in whichever order they come
// and however often. Its memory is bounded. It is not safe for concurrent use.
type Pairing struct {
	limit int           // of the halves that wait, and of the exchanges remembered
	wait  time.Duration // for the other half

	waiting map[string]*list.Element // by the ID of the exchange
	queue   *list.List               // of *half, in the order in which they came

	done  map[string]struct{} // exchanges that are over
	order []string            // in which they ended; a ring
	next  int

	repeated int64
}

// half waits for its other half.
type half struct {
	entry *Entry
	since time.Time
}

// NewPairing returns a Pairing in which up to limit halves wait, each for so
// long.
func NewPairing(limit int, wait time.Duration) *Pairing {
	return &Pairing{limit: limit, wait: wait, waiting: map[string]*list.Element{}, queue: list.New(), done: map[string]struct{}{}}
}

// Take takes in an entry that came at now, and returns what is over with it: the
// exchange that it completes, and those that have waited for too long, or have to
// make room.
func (p *Pairing) Take(now time.Time, e *Entry) []Exchange {
	over := p.Expire(now)
	if _, known := p.done[e.ID]; known {
		p.repeated++
		return over
	}
	waits, known := p.waiting[e.ID]
	if !known {
		if p.queue.Len() >= p.limit {
			over = append(over, p.giveUp())
		}
		p.waiting[e.ID] = p.queue.PushBack(&half{entry: e, since: now})
		return over
	}
	other := waits.Value.(*half).entry
	if other.Kind == e.Kind {
		p.repeated++
		return over
	}
	p.remove(waits)
	return append(over, p.end(pair(other, e)))
}

// Expire returns what has waited for too long, in the order in which it came.
func (p *Pairing) Expire(now time.Time) (over []Exchange) {
	for p.queue.Len() > 0 && now.Sub(p.queue.Front().Value.(*half).since) >= p.wait {
		over = append(over, p.giveUp())
	}
	return over
}

// Drain returns all that waits, as nothing more will come.
func (p *Pairing) Drain() (over []Exchange) {
	for p.queue.Len() > 0 {
		over = append(over, p.giveUp())
	}
	return over
}

// Waiting returns how many halves wait.
func (p *Pairing) Waiting() int { return p.queue.Len() }

// Oldest returns the earliest time of the halves that wait; zero when none does.
func (p *Pairing) Oldest() (oldest time.Time) {
	for e := p.queue.Front(); e != nil; e = e.Next() {
		if at := e.Value.(*half).entry.Time; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// Halves returns those that wait, in the order in which they came.
func (p *Pairing) Halves() []*Entry {
	halves := make([]*Entry, 0, p.queue.Len())
	for e := p.queue.Front(); e != nil; e = e.Next() {
		halves = append(halves, e.Value.(*half).entry)
	}
	return halves
}

// Asked says whether a request waits that came by a time to a path without a slash
// at its end.
func (p *Pairing) Asked(path string, by time.Time) bool {
	for e := p.queue.Front(); e != nil; e = e.Next() {
		half := e.Value.(*half).entry
		if half.Kind == Request && !half.Time.After(by) && strings.TrimSuffix(half.Path, "/") == path {
			return true
		}
	}
	return false
}

// Repeated returns how many entries came more than once, as with several
// devices, or after a connection was lost.
func (p *Pairing) Repeated() int64 { return p.repeated }

func pair(a, b *Entry) Exchange {
	if a.Kind == Request {
		return Exchange{Request: a, Response: b}
	}
	return Exchange{Request: b, Response: a}
}

// giveUp ends what has waited longest without its other half.
func (p *Pairing) giveUp() Exchange {
	longest := p.queue.Front()
	p.remove(longest)
	return p.end(pair(longest.Value.(*half).entry, nil))
}

func (p *Pairing) remove(e *list.Element) {
	delete(p.waiting, p.queue.Remove(e).(*half).entry.ID)
}

// end remembers an exchange, so that what is repeated of it is known.
func (p *Pairing) end(x Exchange) Exchange {
	id := x.Known().ID
	p.done[id] = struct{}{}
	if len(p.order) < p.limit {
		p.order = append(p.order, id)
		return x
	}
	delete(p.done, p.order[p.next])
	p.order[p.next] = id
	p.next = (p.next + 1) % p.limit
	return x
}
