// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// hold is how a request of stock waited for the lock and held it.
type hold struct {
	wait, hold readback.Span
	holder     string // whom it waited for, as it says itself
}

func (h hold) instance() string { return h.hold.Instance }

// lock identifies the hold in etcd: the key, and the revision at which it was made.
func (h hold) lock() string { return lockOf(h.hold) }

func lockOf(s readback.Span) string {
	return fmt.Sprint(s.Attributes["etcd.lock.key"], "@", s.Attributes["etcd.revision"])
}

// holds gives those of the orders that contended, the first one first. They exclude each
// other, so that each begins after the one before has ended.
func (e *Environment) holds(ctx context.Context, reports map[string]Report) (holds []hold, err error) {
	for _, placed := range reports["contention"].Orders {
		spans, err := e.trace(ctx, placed)
		if err != nil {
			return nil, err
		}
		if err := whole(spans); err != nil {
			return nil, fmt.Errorf("order %s: %w", placed.ID, err)
		}
		for _, lock := range named(spans, "stock", "lock stock") {
			var h hold
			h.holder, _ = lock.Attributes["etcd.lock.holder"].(string)
			for _, s := range spans {
				switch {
				case s.ParentSpanID != lock.SpanID:
				case s.Name == "wait for lock":
					h.wait = s
				case s.Name == "hold lock":
					h.hold = s
				}
			}
			if h.hold.SpanID != "" {
				holds = append(holds, h)
			}
		}
	}
	slices.SortFunc(holds, func(a, b hold) int { return a.hold.Start.Compare(b.hold.Start) })
	return holds, nil
}

// namesHolder checks that each holder named is the one whose hold ended when the wait did.
func namesHolder(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	holds, err := e.holds(ctx, reports)
	if err != nil {
		return "", err
	}
	last, waited, err := waits(holds)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d waited, one of %s for %s: %s",
		waited, len(holds), last.instance(), last.holder, e.link(last.hold.TraceID)), nil
}

// waits counts the holds that were waited for, and gives the last of them. A wrong holder
// is an error.
func waits(holds []hold) (last hold, waited int, err error) {
	for i, h := range holds {
		if h.holder == "" {
			continue
		}
		// Requests of one instance wait for each other before they wait in etcd.
		if !slices.ContainsFunc(holds[:i], func(before hold) bool {
			return before.instance() == h.holder && (before.lock() == holds[i-1].lock() || h.holder == h.instance()) &&
				before.hold.Start.Add(before.hold.Duration).After(h.wait.Start)
		}) {
			return h, waited, fmt.Errorf("in trace %s, a request of %s waited for %s, which did not hold the lock before it",
				h.hold.TraceID, h.instance(), h.holder)
		}
		last = h
		waited++
	}
	if waited == 0 {
		return last, waited, errors.New("no span lock stock has the attribute etcd.lock.holder")
	}
	return last, waited, nil
}

// linksHold compares the spans that the collector makes of etcd's keys with those of
// stock: for each hold there is one, and each wait for another instance is linked to
// what it waited for.
func linksHold(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	holds, err := e.holds(ctx, reports)
	if err != nil {
		return "", err
	}
	spans, err := e.Jaeger.Spans(ctx, "etcd", e.Since)
	if err != nil {
		return "", err
	}
	var linked string
	for i, h := range holds {
		attempt := find(named(spans, "etcd", "etcd.lock.attempt"), h.lock())
		held := find(named(spans, "etcd", "etcd.lock.hold"), h.lock())
		if attempt == nil || held == nil || held.ParentSpanID != attempt.SpanID {
			return "", fmt.Errorf("no span etcd.lock.attempt with an etcd.lock.hold of %s", h.lock())
		}
		if h.holder == "" || h.holder == h.instance() {
			continue
		}
		if i == 0 {
			return "", fmt.Errorf("the hold of %s that %s waited for is not there", h.holder, h.lock())
		}
		before := find(named(spans, "etcd", "etcd.lock.hold"), holds[i-1].lock())
		if before == nil || !slices.ContainsFunc(attempt.Links, func(l readback.Link) bool {
			return l.TraceID == before.TraceID && l.SpanID == before.SpanID
		}) {
			return "", fmt.Errorf("the span etcd.lock.attempt of %s has no link to the hold of %s", h.lock(), holds[i-1].lock())
		}
		linked = fmt.Sprintf("%s waited for %s: %s", h.lock(), holds[i-1].lock(), e.link(attempt.TraceID))
	}
	if linked == "" {
		return "", errors.New("no instance of stock waited for the other one")
	}
	return linked, nil
}

func find(spans []readback.Span, lock string) *readback.Span {
	for i := range spans {
		if lockOf(spans[i]) == lock {
			return &spans[i]
		}
	}
	return nil
}
