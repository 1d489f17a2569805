// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const (
	closedSince = 24 * time.Hour // incidents that began earlier are not found
	recentSince = time.Hour      // the same for waits and requests
	mostListed  = 5              // of one kind

	// mostRequests is how many traces of an application are read. They are large, and those of others have parts in them.
	mostRequests = 100
)

// Recent is what has ended before a time. Each part says for itself what kept it from being known.
type Recent struct {
	At        time.Time
	Incidents part[Past]
	Waits     part[Past]
	Slowest   part[Past]
	Failed    part[Past]
}

// Past is a span of something that has ended.
type Past struct {
	Name    string
	Service string
	Subject string // such as the name of the lock
	Status  string // of an incident its worst, of a request that failed why, if that is known
	Holder  string // of a lock, its lease
	Failed  bool
	Began   time.Time
	Seconds float64
	TraceID string
	SpanID  string
}

func recent(sources Sources) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), nowWithin)
		defer cancel()
		body, err := json.Marshal(queryRecent(ctx, readback.Jaeger(sources.Jaeger)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, body)
	})
}

func queryRecent(ctx context.Context, jaeger readback.Jaeger) Recent {
	r := Recent{At: time.Now()}
	const older = "there may be older ones"
	var ask errgroup.Group
	ask.Go(func() error {
		found, err := incidents(ctx, jaeger, r.At)
		r.Incidents = partOf(closed(found.spans), "Jaeger", found.cut, older, err)
		return nil
	})
	ask.Go(func() error {
		var found traces
		err := found.find(ctx, jaeger, "etcd", lockWait, r.At.Add(-recentSince), mostTraces)
		r.Waits = partOf(waits(found.spans), "Jaeger", found.cut, older, err)
		return nil
	})
	ask.Go(func() error {
		found, err := requests(ctx, jaeger, r.At)
		slowest, failed := slowestAndFailed(found.spans)
		r.Slowest, r.Failed = partOf(slowest, "Jaeger", found.cut, older, err), partOf(failed, "Jaeger", found.cut, older, err)
		return nil
	})
	_ = ask.Wait() // Each part has its own error.
	return r
}

// incidents returns the traces that have an incident of the observed systems that ended.
func incidents(ctx context.Context, jaeger readback.Jaeger, now time.Time) (traces, error) {
	return search(ctx, jaeger, now.Add(-closedSince), func(name string) bool {
		return isIncident(name) && !strings.HasSuffix(name, ".start")
	})
}

// closed returns the incidents that ended last. The outages of checks are left out where the incident that they belong
// to is there.
func closed(spans []readback.Span) (all []Past) {
	known := map[spanKey]bool{}
	for _, s := range spans {
		known[spanKey{s.TraceID, s.SpanID}] = true
	}
	for _, s := range distinct(spans) {
		inIncident := s.ParentSpanID != "" && known[spanKey{s.TraceID, s.ParentSpanID}]
		if !slices.Contains(systems, s.Service) || !isIncident(s.Name) || strings.HasSuffix(s.Name, ".start") || inIncident {
			continue
		}
		p := past(s)
		p.Status = firstOf(s, "consul.check.status")
		all = append(all, p)
	}
	return most(all, func(a, b Past) int { return b.ended().Compare(a.ended()) })
}

// Consul does not record who waits for a lock. Who got one of etcd sooner than shortestWait had not to wait.
const (
	lockWait     = "etcd.lock.wait"
	shortestWait = time.Millisecond
)

// waits returns the longest waits for locks.
func waits(spans []readback.Span) (all []Past) {
	for _, s := range distinct(spans) {
		if s.Name == lockWait && s.Duration >= shortestWait {
			p := past(s)
			p.Holder = firstOf(s, "etcd.lease.id")
			all = append(all, p)
		}
	}
	return most(all, longer)
}

// requests returns the newest traces of each application.
func requests(ctx context.Context, jaeger readback.Jaeger, now time.Time) (traces, error) {
	services, err := jaeger.Services(ctx)
	if err != nil {
		return traces{}, err
	}
	var all traces
	for _, service := range services {
		if !isApplication(service) {
			continue
		}
		if err := all.find(ctx, jaeger, service, "", now.Add(-recentSince), mostRequests); err != nil {
			return traces{}, err
		}
	}
	return all, nil
}

// Temporal's own services are named io.temporal.frontend and so on.
func isApplication(service string) bool {
	return !slices.Contains(systems, service) && !strings.HasPrefix(service, "io.temporal.")
}

// slowestAndFailed returns the slowest requests to applications and those that failed last: the roots of their traces. A
// call that is a root itself is an application's own, such as a poll.
func slowestAndFailed(spans []readback.Span) (slowest, failed []Past) {
	for _, s := range distinct(spans) {
		if s.ParentSpanID != "" || !isApplication(s.Service) || s.Kind == "Client" {
			continue
		}
		p := past(s)
		if s.Failed {
			p.Status = firstOf(s, "error.type", "http.response.status_code", "http.status_code", "rpc.grpc.status_code")
			failed = append(failed, p)
		}
		slowest = append(slowest, p)
	}
	return most(slowest, longer), most(failed, func(a, b Past) int { return b.ended().Compare(a.ended()) })
}

func past(s readback.Span) Past {
	return Past{
		Name: s.Name, Service: s.Service, Subject: subject(s), Failed: s.Failed,
		Began: s.Start, Seconds: s.Duration.Seconds(), TraceID: s.TraceID, SpanID: s.SpanID,
	}
}

func (p Past) ended() time.Time { return p.Began.Add(time.Duration(p.Seconds * float64(time.Second))) }

func longer(a, b Past) int { return cmp.Compare(b.Seconds, a.Seconds) }

// most returns the first few in an order.
func most(all []Past, order func(a, b Past) int) []Past {
	slices.SortFunc(all, func(a, b Past) int {
		return cmp.Or(order(a, b), strings.Compare(a.TraceID, b.TraceID), strings.Compare(a.SpanID, b.SpanID))
	})
	return all[:min(len(all), mostListed)]
}

// distinct returns each span once: several searches may find it.
func distinct(spans []readback.Span) (all []readback.Span) {
	known := map[spanKey]bool{}
	for _, s := range spans {
		if key := (spanKey{s.TraceID, s.SpanID}); !known[key] {
			known[key] = true
			all = append(all, s)
		}
	}
	return all
}
