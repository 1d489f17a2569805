// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// Fault is something that goes wrong and ends again.
type Fault struct {
	Name string
	// Happen returns once all works again and has been observed. It records itself.
	Happen func(ctx context.Context, random *rand.Rand) error
}

// Inject has one fault after the other happen, with a pause of between half and all of
// that time before each, until the workload is to end.
func (r *Run) Inject(ctx context.Context, pause time.Duration, faults []Fault) error {
	random := r.Rand("faults")
	injecting, enough := context.WithTimeout(ctx, r.Duration)
	defer enough()
	order := random.Perm(len(faults)) // Each once before any comes again.
	for n := 0; ; n++ {
		if !Sleep(injecting, pause/2+time.Duration(random.Int64N(int64(pause/2)))) {
			return ctx.Err()
		}
		fault := faults[order[n%len(order)]]
		r.Logf("fault: %s", fault.Name)
		happening, giveUp := context.WithTimeout(ctx, 3*time.Minute)
		err := fault.Happen(happening, random)
		giveUp()
		if err != nil {
			return fmt.Errorf("fault %q: %w", fault.Name, err)
		}
		r.Logf("fault has ended: %s", fault.Name)
	}
}

// RefusalFault has the sink refuse signals for some seconds. Nothing is unknown of that
// time: what happens in it has to arrive later, with its own times.
func (r *Run) RefusalFault(sink *Sink, name string, longest time.Duration, signals ...Signal) Fault {
	return Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		sink.Refuse(signals...)
		defer sink.Refuse()
		Sleep(ctx, longest/4+time.Duration(random.Int64N(int64(longest*3/4))))
		r.CountFault(name)
		return ctx.Err()
	}}
}

// flushes is how long what was observed before a kill may be on its way to the sink.
const flushes = 2 * time.Second

// saves is how long what was accepted before a kill may not be saved yet.
const saves = 500 * time.Millisecond

// KillFault kills the collector and starts it again, if refused is not empty while the
// sink refuses these signals: what waited is lost. recovered waits until everything is
// observed.
func (r *Run) KillFault(sink *Sink, collector *lab.Collector, name string, recovered func(context.Context) error, refused ...Signal) Fault {
	return Fault{Name: name, Happen: func(ctx context.Context, random *rand.Rand) error {
		began := time.Now().Add(-flushes)
		if len(refused) > 0 {
			sink.Refuse(refused...)
			Sleep(ctx, time.Duration(random.Int64N(int64(3*time.Second))))
		}
		if err := collector.Kill(); err != nil {
			return err
		}
		Sleep(ctx, time.Duration(random.Int64N(int64(3*time.Second))))
		sink.Refuse()
		if err := collector.Restart(ctx); err != nil {
			return err
		}
		if err := recovered(ctx); err != nil {
			return err
		}
		r.AddWindow(Window{From: began, Until: time.Now(), Why: name, Silent: true, Apart: len(refused) > 0})
		return nil
	}}
}
