// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab/page"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
	"github.com/otelcol-infra/otelcol-infra/lab/workload"
)

const (
	pace        = 3 * Interval // how long the workload holds each state
	baselineMax = time.Minute
	arrivalMax  = time.Minute // what has not arrived by then is lost
)

// Run plays the demo: it builds what is missing, starts servers and collector, runs the workload, waits until everything has
// arrived and prints the table to out. The error says what did not arrive.
// After that it calls stay, if there is one, and ends the scene when that returns.
func Run(ctx context.Context, opts Options, out io.Writer, stay func(*Environment) error) (err error) {
	if err := build(ctx, &opts, out, stay != nil); err != nil {
		return err
	}
	begin := time.Now()
	s, err := Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	say := func(line string) { fmt.Fprintf(out, "%6.1fs  %s\n", time.Since(begin).Seconds(), line) }

	if stay != nil {
		served, startErr := page.Start(ctx, page.Sources{Jaeger: string(s.Jaeger), Prometheus: string(s.Prometheus)})
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, served.Close()) }()
		s.Page = served.URL
		say("open " + s.Page + " in a browser: it shows what happens from now on")
	}
	say("servers and collector are up; waiting for the first observation")
	if err := within(ctx, baselineMax, s.AwaitBaseline); err != nil {
		return s.explain(err)
	}
	if err := (&workload.Workload{Lab: s.Lab, OTLP: s.OTLP, Audit: s.Audit, Shop: s.Shop, Pace: pace, Progress: say}).Run(ctx); err != nil {
		return err
	}
	say("waiting until everything has arrived in Jaeger, Prometheus and the events")
	snapshot, err := s.arrived(ctx)
	if printErr := snapshot.Print(out, s.link, s.Prometheus); printErr != nil {
		return printErr
	}
	if missing := snapshot.Missing(); err != nil && len(missing) > 0 {
		return s.explain(fmt.Errorf("did not arrive: %s", strings.Join(missing, "; ")))
	}
	if err != nil {
		return s.explain(err)
	}
	fmt.Fprintln(out)
	say("everything has arrived")
	if stay == nil {
		fmt.Fprintln(out, "The links end with the servers, now; make demo keeps them up.")
		return nil
	}
	s.invite(out)
	return stay(s)
}

// arrived waits until nothing is missing, and gives the last snapshot in any case.
func (s *Environment) arrived(ctx context.Context) (snapshot Snapshot, err error) {
	err = within(ctx, arrivalMax, func(ctx context.Context) error {
		return until(ctx, "what the workload leaves behind", func() (bool, error) {
			var err error
			snapshot, err = s.Collect(ctx)
			return err == nil && len(snapshot.Missing()) == 0, err
		})
	})
	return snapshot, err
}

func within(ctx context.Context, limit time.Duration, wait func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return wait(ctx)
}

// explain adds what the collector said last.
func (s *Environment) explain(err error) error {
	return fmt.Errorf("%w\nthe collector's log ends with\n%s", err, s.LogTail(30))
}

// invite says what can be tried by hand while the demo stays up.
func (s *Environment) invite(out io.Writer) {
	lock := base64.StdEncoding.EncodeToString([]byte(workload.Lock))
	fmt.Fprintf(out, `
Open %[11]s in a browser: open incidents, locks, metrics and their exemplars, and the trace behind each of them.

Try it by hand in another terminal; the page shows it a few seconds later:
  eval "$(bin/lab env)"
  fail a check   curl -X PUT http://$CONSUL_HTTP_ADDR/v1/agent/check/fail/%[1]s       (mend it: check/pass/%[1]s)
  seal Vault     curl -X PUT -H "X-Vault-Token: $VAULT_TOKEN" $VAULT_ADDR/v1/sys/seal
  unseal it      curl -X PUT -d "{\"key\":\"$VAULT_UNSEAL_KEY\"}" $VAULT_ADDR/v1/sys/unseal
  issue a lease  curl -X PUT -H "X-Vault-Token: $VAULT_TOKEN" -d '{"common_name":"a.example","ttl":"20s"}' $VAULT_ADDR/v1/pki/issue/web
  take a lock    curl -d '{"name":"%[2]s"}' $ETCD_ENDPOINTS/v3/lock/lock      (twice: the second waits, until its lease of a minute expires)
  visit the shop curl http://%[8]s/items/7      (a request that is scraped, and is a span)
  read a secret in a trace of your own, and find it there:
                 id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
                 curl -H "traceparent: 00-$id-00000000000000aa-01" -H "X-Vault-Token: $VAULT_TOKEN" $VAULT_ADDR/v1/%[9]s
                 curl $JAEGER_QUERY_URL/api/v3/traces/$id

  its traces     curl "$JAEGER_QUERY_URL/api/v3/traces?query.service_name=vault&query.start_time_min=%[3]s&query.start_time_max=%[4]s&query.num_traces=20"
  its metrics    curl "$PROMETHEUS_URL/api/v1/query?query=vault_sealed"
  its exemplars  curl "$PROMETHEUS_URL/api/v1/query_exemplars?query=etcd_lock_wait_duration_seconds_bucket&start=%[3]s&end=%[4]s"
  of Vault       curl "$PROMETHEUS_URL/api/v1/query_exemplars?query=vault_request_duration_seconds_bucket&start=%[3]s&end=%[4]s"
  of the shop    curl "$PROMETHEUS_URL/api/v1/query_exemplars?query=%[10]s_bucket&start=%[3]s&end=%[4]s"
  all events     tail -f %[5]s

The page reads from Jaeger %[6]s and Prometheus %[7]s, which have no pages of their own when they were
built here; with their own binaries on PATH they have. Ctrl-C here, or bin/lab down there, ends everything.
`, workload.Service, lock, s.Since.UTC().Format(time.RFC3339), s.Since.Add(24*time.Hour).UTC().Format(time.RFC3339), s.Events, s.Jaeger, s.Prometheus, s.Shop.Addr, workload.Secret, shop.Durations, s.Page)
}
