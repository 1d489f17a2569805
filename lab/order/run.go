// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab/page"
)

const (
	baselineMax = time.Minute
	arrivalMax  = 90 * time.Second // what has not arrived by then is lost
)

// Run starts the example, runs its steps, and waits until all that it promises can be
// read from Jaeger and Prometheus. It prints that to out. The error names what could
// not be read. Then it calls stay, if there is one, and ends the example when that
// returns.
func Run(ctx context.Context, opts Options, out io.Writer, stay func(*Environment) error) (err error) {
	begin := time.Now()
	e, err := Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	report := func(line string) { fmt.Fprintf(out, "%6.1fs  %s\n", time.Since(begin).Seconds(), line) }

	if stay != nil {
		served, startErr := page.Start(ctx, page.Sources{Jaeger: string(e.Jaeger), Prometheus: string(e.Prometheus)})
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, served.Close()) }()
		e.Page = served.URL
		report("open " + e.Page + " in a browser: it shows what happens from now on")
	}
	report("servers, collector and services run; at the edge is " + e.Edge)
	if err := e.AwaitBaseline(ctx); err != nil {
		return e.explain(ctx, err)
	}
	reports, err := e.play(ctx, report)
	if err != nil {
		return e.explain(ctx, err)
	}
	report("waiting until everything has arrived in Jaeger and Prometheus")
	results, err := e.Check(ctx, reports)
	printResults(out, e, reports, results)
	if err == nil {
		report("everything has arrived")
	} else {
		err = e.explain(ctx, err)
		report("not everything has arrived")
	}
	if stay == nil {
		fmt.Fprintln(out, "The links end with the servers, now; make order keeps them up.")
		return err
	}
	e.invite(out)
	return errors.Join(err, stay(e)) // What is missing can be searched for meanwhile.
}

// AwaitBaseline waits until every receiver has observed its server once, so that what
// happens from now on is reported as a change, and until an order succeeds.
func (e *Environment) AwaitBaseline(ctx context.Context) error {
	const observed = `count(otelcol_watch_observations{receiver=~"consul|vault"} > 0) == 2 ` +
		`and count(otelcol_etcd_requests{request="watch",outcome="success"} >= 4) and count(consul_up == 1) and count(etcd_member_up == 1) and count(vault_up == 1)`
	return until(ctx, baselineMax, "the first observation of every server and the first order", func() error {
		series, err := e.Prometheus.Query(ctx, observed)
		if err != nil {
			return err
		}
		if len(series) == 0 {
			return errors.New("not every receiver has observed its server")
		}
		_, err = e.placeAs(ctx, good(), http.StatusCreated)
		return err
	})
}

// until tries twice a second until there is no error, or for so long. The error is the
// last one.
func until(ctx context.Context, limit time.Duration, what string, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited in vain for %s: %w", what, err)
		}
		if err := pause(ctx, interval/2); err != nil {
			return err
		}
	}
}
