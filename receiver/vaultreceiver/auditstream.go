// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	// entriesAtOnce is how many are taken out of the queue at a time, of which as a
	// rule half as many exchanges are told.
	entriesAtOnce = 2000

	// expireEvery is how often it is looked for what has waited for too long.
	expireEvery = time.Second

	// flushFor is how long Shutdown tries to tell what was accepted, and waits for
	// what is being told.
	flushFor = 5 * time.Second

	// longAtOnce is how many of the longest lines may be in memory at a time, of all
	// that are sent. What does not fit beside them is left out, as waiting would hold
	// back Vault.
	longAtOnce = 4
)

// auditStream makes spans and events of what Vault's audit devices send. As
// Vault waits for its devices, what is sent is never held back: what does not
// fit into the queue is dropped and counted. What was written to a file can
// wait, and does.
type auditStream struct {
	w         *watcher
	cfg       AuditConfig
	exchanges *telemetry.Exchanges
	tally     *telemetry.RequestTally
	queue     chan *audit.Entry
	login     string // path of the receiver's own; empty: it does not log in
	bundles   chan bundle
	room      *audit.Room // of lines that are sent

	sources []func(context.Context)
	file    *auditFile // nil: it is not configured
	gaps    *auditGaps

	// What is looked at each second, at looked: entries of each source, and a header.
	sent, posted, written, traceparents *auditSound
	looked                              time.Time

	// keepsHalves says that halves of exchanges survive a restart.
	keepsHalves bool

	outcomes    [outcomes]atomic.Int64
	connections atomic.Int64
	full        atomic.Bool // entries are being dropped

	mu      sync.Mutex
	pairing *audit.Pairing
	origins *state.Origins   // of leases; nil: they are not followed
	halves  [2]int64         // exchanges of which only the request, or the response, came
	lost    int64            // dropped entries that were told
	hand    audited          // was gathered and is not stepped yet
	flight  audited          // was stepped and is not delivered yet
	bridged auditGap         // was delivered, and the gaps do not know it yet
	untold  []audit.Exchange // as they were refused until Shutdown
	changes int64            // of the rest, from 1 on
}

// bundle is of entries of which the source waits to hear that it may go on.
type bundle struct {
	entries []*audit.Entry
	over    chan<- struct{}
}

func (b bundle) waiting() []chan<- struct{} { return []chan<- struct{}{b.over} }

func newAuditStream(w *watcher) *auditStream {
	var login string
	if method := w.cfg.method(); method != nil {
		login = method.endpoint
	}
	var origins *state.Origins
	if w.cfg.Leases.Mode == ModePrefixes {
		origins = state.NewOrigins(maxIssues)
	}
	return &auditStream{
		w: w, cfg: w.cfg.Audit, login: login,
		exchanges: &telemetry.Exchanges{
			Story: w.story, Trust: telemetry.Trust(w.cfg.Audit.Trust), Redact: w.cfg.Audit.redact(), Resource: w.resource,
		},
		tally:   telemetry.NewRequestTally(time.Now()),
		queue:   make(chan *audit.Entry, w.cfg.Audit.Queue),
		bundles: make(chan bundle),
		room:    audit.NewRoom(longAtOnce * int64(w.cfg.Audit.LongestLine)),
		gaps:    newAuditGaps(w),
		pairing: audit.NewPairing(w.cfg.Audit.Queue, w.cfg.Audit.Wait),
		origins: origins,
		changes: 1,
		sent:    entriesOf(conditionSocket), posted: entriesOf(conditionHTTP), written: entriesOfFiles(), traceparents: traceparents(),
	}
}

// take takes in a line that a device has sent, and returns what became of it
// and the time of its entry.
func (s *auditStream) take(reader *audit.Reader, line []byte) (outcome, time.Time) {
	e, o := s.read(reader, line)
	if o == malformed {
		s.count(o)
		return o, time.Time{}
	}
	s.gaps.came()
	if o == accepted && !s.offer(e) {
		o = dropped
	}
	s.count(o)
	if o == dropped {
		s.full.Store(true) // Whoever sees it has it counted.
	}
	return o, e.Time
}

// read reads a line, of which there is an entry unless it is malformed. It is accepted
// unless it is not to be told; the caller counts.
func (s *auditStream) read(reader *audit.Reader, line []byte) (*audit.Entry, outcome) {
	e, err := reader.Read(line)
	if err != nil {
		return nil, malformed
	}
	s.sawHeader(e)
	e.Data.Rewrite(hideTokens)
	switch {
	case probes(e):
		return e, probe
	case !s.cfg.OwnRequests && s.own(e):
		return e, ownRequest
	default:
		return e, accepted
	}
}

// put takes in entries of a source that can wait, and returns when they are told,
// or are in the rest. It is only called while the source runs.
func (s *auditStream) put(entries []*audit.Entry) {
	if len(entries) == 0 {
		return
	}
	over := make(chan struct{})
	s.bundles <- bundle{entries, over}
	<-over
}

// offer says whether there was room in the queue.
func (s *auditStream) offer(e *audit.Entry) bool {
	select {
	case s.queue <- e:
		return true
	default:
		return false
	}
}

// open opens the sources.
func (s *auditStream) open(ctx context.Context, host component.Host) error {
	if s.cfg.File.HasValue() {
		file, err := s.follow(ctx, host)
		if err != nil {
			return err
		}
		s.file = file
		s.sources = append(s.sources, file.run)
	}
	var socket *auditSocket
	if s.cfg.listens() {
		var err error
		if socket, err = s.listen(ctx); err != nil {
			return err
		}
		s.sources = append(s.sources, socket.run)
	}
	if s.cfg.serves() {
		server, err := s.serve(ctx, host)
		if err != nil {
			if socket != nil {
				socket.close() // Nothing will run.
			}
			return err
		}
		s.sources = append(s.sources, server.run)
	}
	if s.cfg.listens() || s.cfg.serves() {
		s.gaps.listens(ctx, time.Now())
	}
	return nil
}

// close ends the use of the storage.
func (s *auditStream) close(ctx context.Context) error {
	if s == nil {
		return nil
	}
	return s.file.close(ctx)
}

// run has the sources send until ctx ends, and tells what they sent.
func (s *auditStream) run(ctx context.Context) {
	var sending sync.WaitGroup
	for _, source := range s.sources {
		sending.Go(func() { source(ctx) })
	}
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushFor, end) })()
	watch.Loop[audited]{
		Next:      s.next,
		Step:      s.step,
		Delivery:  s.w.Delivery(),
		Limit:     s.cfg.Queue,
		Commit:    func(context.Context) { s.delivered() },
		Condition: func(error) {}, // The sources have conditions of their own.
	}.Run(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); sending.Wait() }()
	s.flush(lasting, ended)
	ctx = context.WithoutCancel(ctx)
	s.file.keep(ctx)
	s.settled(ctx)
	s.gaps.keep(ctx, time.Now())
}

// audited is what is to be told.
type audited struct {
	exchanges []audit.Exchange
	dropped   int64    // entries, since it was told last
	gap       auditGap // of a restart
	resets    auditGap
	waiting   []chan<- struct{}
}

// empty says whether there is nothing to tell, and nobody who waits for it.
func (a *audited) empty() bool {
	return len(a.exchanges) == 0 && a.dropped == 0 && a.gap == (auditGap{}) && a.resets == (auditGap{}) && len(a.waiting) == 0
}

// add adds what was stepped after it.
func (a *audited) add(b audited) {
	a.exchanges = append(a.exchanges, b.exchanges...)
	a.dropped += b.dropped
	if b.gap != (auditGap{}) { // There is one at most.
		a.gap = b.gap
	}
	if b.resets != (auditGap{}) {
		a.resets = b.resets
	}
	a.waiting = append(a.waiting, b.waiting...)
}

// next returns the exchanges that have ended, some at a time.
func (s *auditStream) next(ctx context.Context) (audited, error) {
	ticker := time.NewTicker(expireEvery)
	defer ticker.Stop()
	for {
		if s.settled(ctx) {
			s.look(ctx)
		}
		var out audited
		var came []*audit.Entry
		select {
		case e := <-s.queue:
			s.gaps.taken++
			came = []*audit.Entry{e}
		case out.gap = <-s.gaps.found:
		case <-s.gaps.reset:
			out.resets = s.gaps.takeResets()
		case b := <-s.bundles:
			came, out.waiting = b.entries, b.waiting()
		case <-ticker.C:
		case <-ctx.Done():
			return out, ctx.Err()
		}
		if out = s.gather(out, came); !out.empty() {
			return out, nil
		}
	}
}

// gather takes in what came and what more is in the queue, and takes into the hand
// what is to be told of it. The stream is locked meanwhile, so that rest finds
// each entry either among those that wait or in the hand.
func (s *auditStream) gather(out audited, came []*audit.Entry) audited {
	s.mu.Lock()
	defer s.mu.Unlock()
	queued := min(len(s.queue), entriesAtOnce) // Nobody else takes them out.
	now := time.Now()
	out.exchanges = s.judge(s.pairing.Expire(now))
	for _, e := range came {
		out.exchanges = append(out.exchanges, s.judge(s.pairing.Take(now, e))...)
	}
	for range queued {
		out.exchanges = append(out.exchanges, s.judge(s.pairing.Take(now, <-s.queue))...)
	}
	s.gaps.taken += int64(queued)
	if queued+len(came)+len(out.exchanges) > 0 {
		s.changes++
	}
	if len(s.queue) == 0 && s.full.Swap(false) { // It is told when it is over.
		all := s.outcomes[dropped].Load()
		out.dropped, s.lost = all-s.lost, all
	}
	s.hand = out
	return out
}

// delivered takes in that all was delivered that was stepped so far.
func (s *auditStream) delivered() {
	s.mu.Lock()
	if gap := s.flight.gap; gap != (auditGap{}) {
		s.bridged = gap
	}
	s.mu.Unlock()
	s.over(true)
}

// settled says whether all was delivered that was stepped so far, and has the gaps
// go on from the end of one that was.
func (s *auditStream) settled(ctx context.Context) bool {
	s.mu.Lock()
	gap, settled := s.bridged, s.flight.empty()
	s.bridged = auditGap{}
	s.mu.Unlock()
	if gap != (auditGap{}) {
		s.gaps.told(ctx, gap)
	}
	return settled
}

// look is called when nothing is in hand, on its way, or untold.
func (s *auditStream) look(ctx context.Context) {
	now := time.Now()
	if now.Sub(s.looked) >= expireEvery/2 { // Ticks are not that exact.
		s.looked = now
		for _, sound := range []*auditSound{s.sent, s.posted, s.written} {
			sound.look(now, s.w.Condition)
		}
		if s.exchanges.Trust != telemetry.TrustIgnore {
			s.traceparents.look(now, s.w.Condition)
		}
	}
	s.gaps.look(context.WithoutCancel(ctx), now, len(s.queue), func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.pairing.Oldest()
	})
}

// over ends what was stepped, and has those go on that wait for it.
func (s *auditStream) over(told bool) {
	s.mu.Lock()
	a := s.flight
	if !told {
		s.untold = append(s.untold, a.exchanges...)
	}
	s.flight = audited{}
	s.changes++
	s.mu.Unlock()
	for _, waits := range a.waiting {
		close(waits)
	}
}

// rest returns the entries that were taken in and are not told: those that wait
// for their other half, and those that no consumer has accepted yet; nil if that is
// as it was at a change, zero for none. It returns the newest change, too.
func (s *auditStream) rest(since int64) (rest []audit.Entry, change int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == since {
		return nil, since
	}
	for _, e := range s.pairing.Halves() {
		rest = append(rest, *e)
	}
	for _, exchanges := range [][]audit.Exchange{s.hand.exchanges, s.flight.exchanges, s.untold} {
		for _, x := range exchanges {
			for _, e := range []*audit.Entry{x.Request, x.Response} {
				if e != nil {
					rest = append(rest, *e)
				}
			}
		}
	}
	return rest, s.changes
}

// judge counts exchanges; the stream is locked.
func (s *auditStream) judge(over []audit.Exchange) []audit.Exchange {
	for _, x := range over {
		if s.origins != nil {
			if issue, ok := s.exchanges.Issued(x); ok {
				s.origins.Take(issue)
			}
		}
		switch {
		case x.Whole():
			trace, span := s.exchanges.SpanIDs(x)
			s.tally.Take(x, trace, span)
		case x.Request != nil:
			s.halves[0]++
		default:
			s.halves[1]++
		}
	}
	return over
}

func (s *auditStream) step(now time.Time, a audited) watch.Telemetry {
	s.mu.Lock()
	s.hand = audited{}
	s.flight.add(a)
	s.mu.Unlock()
	told := s.exchanges.Render(now, a.exchanges)
	if a.dropped > 0 {
		s.w.story.RenderDropped(now, s.w.resource(), a.dropped).ResourceLogs().MoveAndAppendTo(told.Logs.ResourceLogs())
	}
	tell := func(reason metadata.AttributeVaultAuditGapReason, gap auditGap) {
		if gap != (auditGap{}) {
			s.w.story.RenderAuditGap(now, s.w.resource(), reason, gap.from, gap.until).ResourceLogs().MoveAndAppendTo(told.Logs.ResourceLogs())
		}
	}
	tell(metadata.AttributeVaultAuditGapReasonRestart, a.gap)
	tell(metadata.AttributeVaultAuditGapReasonConnection, a.resets)
	return told
}

// flush tells what was accepted and not told yet, and what the sources have in
// hand until they have ended. What is refused until ctx ends is given up.
func (s *auditStream) flush(ctx context.Context, ended <-chan struct{}) {
	if !s.flight.empty() { // It was refused.
		s.over(false)
	}
	s.deliver(ctx)
	for open := true; open; {
		select {
		case b := <-s.bundles:
			s.gather(audited{waiting: b.waiting()}, b.entries)
			s.deliver(ctx)
		case <-ended:
			open = false
		}
	}
	for {
		s.gather(audited{}, nil)
		last := len(s.queue) == 0
		if last && !s.keepsHalves {
			s.mu.Lock()
			s.hand.exchanges = append(s.hand.exchanges, s.judge(s.pairing.Drain())...)
			s.mu.Unlock()
		}
		s.deliver(ctx)
		if last || ctx.Err() != nil {
			return
		}
	}
}

// deliver tells what is in hand.
func (s *auditStream) deliver(ctx context.Context) {
	if s.w.Delivery().Deliver(ctx, s.step(time.Now(), s.hand)) == nil {
		s.delivered()
	} else {
		s.over(false)
	}
}
