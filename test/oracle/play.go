// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// faultPause is the longest pause before a fault.
const faultPause = 6 * time.Second

// agree is how long gauges may take to be what the server says.
const agree = 20 * time.Second

// Play has the workload and the faults happen, waits until all is quiet, and compares.
func (r *Run) Play(t *testing.T, actors []Actor, faults []Fault, quiet func(context.Context) error, compare func(context.Context)) {
	t.Helper()
	injected := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { injected <- r.Inject(ctx, faultPause, faults) }()
	r.Act(ctx, actors)
	require.NoError(t, <-injected)
	End(ctx, actors)
	require.NoError(t, quiet(ctx))
	compare(ctx)
}

// CompareGauges waits until wrong returns nothing, each time after two more scrapes, and
// records what it returns in the end.
func (r *Run) CompareGauges(ctx context.Context, sink *Sink, wrong func(context.Context) []string) {
	ctx, enough := context.WithTimeout(ctx, agree)
	defer enough()
	var differences []string
	Until(ctx, time.Second, func() bool {
		scrapes := sink.Scrapes()
		Until(ctx, 50*time.Millisecond, func() bool { return sink.Scrapes() > scrapes+1 })
		differences = wrong(ctx)
		return len(differences) == 0
	})
	for _, difference := range differences {
		r.Differ("%s", difference)
	}
}
