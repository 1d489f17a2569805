// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package condition reports which endpoints of a receiver fail: in the
// component's status, and in a log that does not flood.
package condition

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// repeatAfter is when a failure that lasts is logged again. Each time after
	// that it is twice as long, up to repeatAtMost.
	repeatAfter  = time.Minute
	repeatAtMost = time.Hour

	// newEvery is when one more new failure of an endpoint that flaps is logged.
	newEvery = time.Minute

	// newFailures is how many new failures of an endpoint are logged at once.
	newFailures = 3
)

// Reporter keeps the condition of each endpoint of one component. A component
// with a failing endpoint has the status RecoverableError, else OK.
// It is safe for concurrent use.
type Reporter struct {
	logger *zap.Logger
	now    func() time.Time

	mu      sync.Mutex
	hosts   []component.Host
	failing map[string]*failure
	logged  map[string]*rate.Limiter // of new failures, by endpoint
}

type failure struct {
	err      error
	since    time.Time
	logged   bool
	silent   time.Time     // since when nothing was logged of it
	pause    time.Duration // until it is logged again
	unlogged int           // failures since then
}

// NewReporter returns a Reporter that knows of no failure.
func NewReporter(logger *zap.Logger) *Reporter {
	return &Reporter{logger: logger, now: time.Now, failing: map[string]*failure{}, logged: map[string]*rate.Limiter{}}
}

// AddHost adds a host whose view of this component's status is kept up to
// date: one for each signal that the component serves.
func (r *Reporter) AddHost(host component.Host) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hosts = append(r.hosts, host)
	if len(r.failing) > 0 {
		r.report()
	}
}

// Set reports the outcome of one use of an endpoint: an error, or nil.
// A failure is logged when it begins and then ever more seldom while it lasts, from
// after a minute to once an hour; its end is logged once. An endpoint that flaps is logged three times, and then
// once a minute. A use that Shutdown cut off says nothing.
func (r *Reporter) Set(endpoint string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.fail(endpoint, err)
	} else {
		r.recover(endpoint)
	}
}

// Refused reports that the next consumer refuses a signal, of which so many
// records wait. Unlike a failure it is logged once, however long it lasts: what
// waits is a metric.
func (r *Reporter) Refused(signal string, records int, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	part := deliveryOf(signal)
	now := r.now()
	f, known := r.failing[part]
	if !known {
		f = &failure{since: now}
		r.failing[part] = f
	}
	f.err = err
	if !f.logged && r.mayLog(part, now) {
		f.logged = true
		r.logger.Warn(fmt.Sprintf("the next consumer refuses %s; %d records wait", signal, records),
			zap.String("signal", signal), zap.Int("records", records), zap.Error(err))
	}
	if !known {
		r.report()
	}
}

// Accepted reports that the next consumer refuses a signal no longer; accepted is
// false when what it had refused was dropped.
func (r *Reporter) Accepted(signal string, accepted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	part := deliveryOf(signal)
	f, known := r.failing[part]
	if !known {
		return
	}
	delete(r.failing, part)
	if f.logged && accepted {
		r.logger.Info("the next consumer accepts "+signal+" again", zap.String("signal", signal), zap.Duration("after", r.now().Sub(f.since)))
	}
	r.report()
}

func deliveryOf(signal string) string { return "delivery of " + signal }

// Rest takes in that endpoints cannot be used now, which says nothing of how they
// are doing: they fail no more, and nothing is logged.
func (r *Reporter) Rest(endpoints ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failing := len(r.failing)
	for _, endpoint := range endpoints {
		delete(r.failing, endpoint)
	}
	if len(r.failing) < failing {
		r.report()
	}
}

func (r *Reporter) fail(endpoint string, err error) {
	now := r.now()
	f, known := r.failing[endpoint]
	var logIt bool
	if known {
		if logIt = now.Sub(f.silent) >= f.pause; logIt && f.logged {
			f.pause = min(2*f.pause, repeatAtMost)
		}
	} else {
		f = &failure{since: now, silent: now, pause: repeatAfter}
		r.failing[endpoint] = f
		logIt = r.mayLog(endpoint, now)
	}
	f.err = err
	if logIt {
		// The endpoint is in the message too, as logs are sampled by message.
		r.logger.Warn("cannot observe "+endpoint+", will keep trying",
			zap.String("endpoint", endpoint), zap.Error(err),
			zap.Time("since", f.since), zap.Int("failures_not_logged", f.unlogged))
		f.logged, f.silent, f.unlogged = true, now, 0
	} else {
		f.unlogged++
	}
	if !known || logIt {
		r.report()
	}
}

// mayLog reports whether a new failure of the endpoint is to be logged.
func (r *Reporter) mayLog(endpoint string, now time.Time) bool {
	limiter, ok := r.logged[endpoint]
	if !ok {
		limiter = rate.NewLimiter(rate.Every(newEvery), newFailures)
		r.logged[endpoint] = limiter
	}
	return limiter.AllowN(now, 1)
}

func (r *Reporter) recover(endpoint string) {
	f, known := r.failing[endpoint]
	if !known {
		return
	}
	delete(r.failing, endpoint)
	if f.logged {
		r.logger.Info("observing "+endpoint+" again", zap.String("endpoint", endpoint), zap.Duration("after", r.now().Sub(f.since)))
	}
	r.report()
}

func (r *Reporter) report() {
	var errs []error
	for _, endpoint := range slices.Sorted(maps.Keys(r.failing)) {
		errs = append(errs, fmt.Errorf("%s: %w", endpoint, r.failing[endpoint].err))
	}
	event := componentstatus.NewEvent(componentstatus.StatusOK)
	if len(errs) > 0 {
		event = componentstatus.NewRecoverableErrorEvent(errors.Join(errs...))
	}
	for _, host := range r.hosts {
		componentstatus.ReportStatus(host, event)
	}
}
