// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	// exchangesAtOnce is how many exchanges are told at a time.
	exchangesAtOnce = 1000

	// expireEvery is how often it is looked for what has waited for too long.
	expireEvery = time.Second

	// flushFor is how long Shutdown tries to tell what was accepted.
	flushFor = 5 * time.Second
)

// auditStream makes spans and events of what Vault's audit devices send. As
// Vault waits for its devices, whoever sends is never held back: what does not
// fit into the queue is dropped and counted.
type auditStream struct {
	w         *watcher
	cfg       AuditConfig
	exchanges *telemetry.Exchanges
	tally     *telemetry.RequestTally
	queue     chan audit.Entry
	login     string // path of the receiver's own; empty: it does not log in

	outcomes    [outcomes]atomic.Int64
	connections atomic.Int64
	full        atomic.Bool // entries are being dropped

	mu      sync.Mutex
	pairing *audit.Pairing
	halves  [2]int64 // exchanges of which only the request, or the response, came
	told    int64    // dropped entries that were told
}

// outcome is what became of an entry.
type outcome int

const (
	accepted outcome = iota
	malformed
	tooLong
	cut
	dropped
	ownRequest
	outcomes
)

func newAuditStream(w *watcher) *auditStream {
	var login string
	if method := w.cfg.method(); method != nil {
		login = method.endpoint
	}
	return &auditStream{
		w: w, cfg: w.cfg.Audit, login: login,
		exchanges: &telemetry.Exchanges{
			Story: w.story, Trust: telemetry.Trust(w.cfg.Audit.Trust), Redact: w.cfg.Audit.redact(), Resource: w.resource,
		},
		tally:   telemetry.NewRequestTally(time.Now()),
		queue:   make(chan audit.Entry, w.cfg.Audit.Queue),
		pairing: audit.NewPairing(w.cfg.Audit.Queue, w.cfg.Audit.Wait),
	}
}

// take takes in a line that a device has sent.
func (s *auditStream) take(reader *audit.Reader, line []byte) {
	e, err := reader.Read(line)
	switch {
	case err != nil:
		s.count(malformed)
	case !s.cfg.OwnRequests && s.own(e):
		s.count(ownRequest)
	default:
		s.offer(e)
	}
}

func (s *auditStream) offer(e audit.Entry) {
	select {
	case s.queue <- e:
		s.count(accepted)
	default:
		s.full.Store(true)
		s.count(dropped)
	}
}

func (s *auditStream) count(o outcome) { s.outcomes[o].Add(1) }

// run has the sources send until ctx ends, and tells what they sent.
func (s *auditStream) run(ctx context.Context, sources ...func(context.Context)) {
	var sending sync.WaitGroup
	for _, source := range sources {
		sending.Go(func() { source(ctx) })
	}
	watch.Loop[audited]{
		Next:      s.next,
		Step:      s.step,
		Delivery:  s.w.Delivery(),
		Condition: func(error) {}, // The sources have conditions of their own.
	}.Run(ctx)
	sending.Wait()
	s.flush(context.WithoutCancel(ctx))
}

// audited is what is to be told.
type audited struct {
	exchanges []audit.Exchange
	dropped   int64 // entries, since it was told last
}

// next returns the exchanges that have ended, some at a time.
func (s *auditStream) next(ctx context.Context) (audited, error) {
	ticker := time.NewTicker(expireEvery)
	defer ticker.Stop()
	var out audited
	for {
		select {
		case e := <-s.queue:
			out.exchanges = s.pair(e)
		case <-ticker.C:
			s.mu.Lock()
			out.exchanges = s.judge(s.pairing.Expire(time.Now()))
			s.mu.Unlock()
		case <-ctx.Done():
			return out, ctx.Err()
		}
		out = s.more(out)
		if len(out.exchanges) > 0 || out.dropped > 0 {
			return out, nil
		}
	}
}

// more adds what has come by now.
func (s *auditStream) more(out audited) audited {
	out.exchanges = slices.Grow(out.exchanges, min(len(s.queue), exchangesAtOnce)) // They are large to move.
	for len(out.exchanges) < exchangesAtOnce {
		select {
		case e := <-s.queue:
			out.exchanges = append(out.exchanges, s.pair(e)...)
			continue
		default:
		}
		break
	}
	if len(s.queue) == 0 && s.full.Swap(false) { // It is told when it is over.
		s.mu.Lock()
		all := s.outcomes[dropped].Load()
		out.dropped, s.told = all-s.told, all
		s.mu.Unlock()
	}
	return out
}

func (s *auditStream) pair(e audit.Entry) []audit.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judge(s.pairing.Take(time.Now(), e))
}

// judge counts exchanges; the stream is locked.
func (s *auditStream) judge(over []audit.Exchange) []audit.Exchange {
	for _, x := range over {
		switch {
		case x.Whole():
			trace, span := s.exchanges.SpanIDs(x)
			s.tally.Take(x, trace, span)
		case x.Request.Kind != 0:
			s.halves[0]++
		default:
			s.halves[1]++
		}
	}
	return over
}

func (s *auditStream) step(now time.Time, a audited) watch.Telemetry {
	told := s.exchanges.Render(now, a.exchanges)
	if a.dropped > 0 {
		s.w.story.RenderDropped(now, s.w.resource(), a.dropped).ResourceLogs().MoveAndAppendTo(told.Logs.ResourceLogs())
	}
	return told
}

// flush tells what was accepted and not told yet.
func (s *auditStream) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	for {
		rest := s.more(audited{})
		last := len(rest.exchanges) == 0
		if last {
			s.mu.Lock()
			rest.exchanges = s.judge(s.pairing.Drain())
			s.mu.Unlock()
		}
		err := s.w.Delivery().Deliver(ctx, s.step(time.Now(), rest))
		if last || errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return
		}
	}
}

// record records what was received; the watcher is locked.
func (s *auditStream) record(mb *metadata.MetricsBuilder, now time.Time) {
	ts := pcommon.NewTimestampFromTime(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for o, name := range map[outcome]metadata.AttributeVaultAuditOutcome{
		accepted: metadata.AttributeVaultAuditOutcomeAccepted, malformed: metadata.AttributeVaultAuditOutcomeMalformed,
		tooLong: metadata.AttributeVaultAuditOutcomeTooLong, cut: metadata.AttributeVaultAuditOutcomeCut,
		dropped: metadata.AttributeVaultAuditOutcomeDropped, ownRequest: metadata.AttributeVaultAuditOutcomeOwn,
	} {
		mb.RecordVaultAuditEntriesDataPoint(ts, s.outcomes[o].Load(), name)
	}
	mb.RecordVaultAuditEntriesDataPoint(ts, s.pairing.Repeated(), metadata.AttributeVaultAuditOutcomeRepeated)
	mb.RecordVaultAuditWaitingCountDataPoint(ts, int64(s.pairing.Waiting()))
	mb.RecordVaultAuditUnpairedDataPoint(ts, s.halves[0], metadata.AttributeVaultRequestHalfRequest)
	mb.RecordVaultAuditUnpairedDataPoint(ts, s.halves[1], metadata.AttributeVaultRequestHalfResponse)
	if s.cfg.Socket.HasValue() {
		mb.RecordVaultAuditConnectionCountDataPoint(ts, s.connections.Load())
	}
}

func (s *auditStream) appendTo(metrics pmetric.MetricSlice, now time.Time) {
	s.tally.AppendTo(metrics, pcommon.NewTimestampFromTime(now))
}
