// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "seed of the workload and of the faults; 0 makes a new one")
	durationFlag = flag.Duration("duration", 0, "how long each workload and its comparison take; 0: as long as each scenario needs, a minute at most")
)

// dumpFlag names a folder for what a run recorded.
var dumpFlag = flag.String("dump", "", "folder in which all events and spans of a run are written, in the order of their times")

// settleShare is the part of a short run that is left for the comparison.
const settleShare = 20 * time.Second

// maxDifferences bounds what a failed run prints.
const maxDifferences = 40

// Run is one run of one scenario.
type Run struct {
	T        *testing.T
	Seed     uint64
	Duration time.Duration // of the workload
	// Gate is held for reading by each operation, and for writing by a fault that
	// must be alone.
	Gate sync.RWMutex

	begin time.Time

	mu          sync.Mutex
	operations  map[string]int
	faults      map[string]int
	windows     []Window
	differences []string
}

// Start begins a run that takes this long unless the command line says otherwise. It
// prints the command that replays it at once.
func Start(t *testing.T, folder string, duration time.Duration) *Run {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the built collector and real servers; run make test")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(rand.Uint32()) //nolint:gosec // a seed is no secret
	}
	duration = cmp.Or(*durationFlag, duration)
	r := &Run{
		T: t, Seed: seed, Duration: max(duration-settleShare, duration/2), begin: time.Now(),
		operations: map[string]int{}, faults: map[string]int{},
	}
	replay := fmt.Sprintf("go test -count=1 ./test/oracle/%s -run '^%s$' -seed=%d -duration=%s", folder, t.Name(), seed, duration)
	fmt.Printf("oracle: %s begins; replay: %s\n", t.Name(), replay) // At once, also when the test hangs.
	t.Cleanup(func() { r.report(replay) })
	return r
}

// Rand returns the random numbers of one actor. They are a function of the seed
// and the name, so that the choices of one do not depend on the pace of others.
func (r *Run) Rand(name string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	return rand.New(rand.NewPCG(r.Seed, hash.Sum64())) //nolint:gosec // it must be reproducible
}

// CountOperation counts what an actor did.
func (r *Run) CountOperation(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations[kind]++
}

// Differ records a difference between what was reported and what is right.
func (r *Run) Differ(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.differences = append(r.differences, fmt.Sprintf(format, args...))
}

// Differences returns how many differences were recorded so far.
func (r *Run) Differences() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.differences)
}

// Clock renders a time as the time since the run began.
func (r *Run) Clock(t time.Time) string {
	return fmt.Sprintf("%.3fs", t.Sub(r.begin).Seconds())
}

// Logf logs with the time since the run began.
func (r *Run) Logf(format string, args ...any) {
	r.T.Helper()
	r.T.Logf("%s "+format, append([]any{r.Clock(time.Now())}, args...)...)
}

func (r *Run) report(replay string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.T.Logf("%d operations: %s", total(r.operations), counts(r.operations))
	r.T.Logf("%d faults: %s", total(r.faults), counts(r.faults))
	for _, window := range r.windows {
		r.T.Logf("%s %s to %s", window.Why, r.Clock(window.From), r.Clock(window.Until))
	}
	for i, difference := range r.differences {
		if i == maxDifferences {
			r.T.Errorf("and %d differences more", len(r.differences)-i)
			break
		}
		r.T.Errorf("difference: %s", difference)
	}
	if r.T.Failed() {
		r.T.Logf("replay: %s", replay)
	}
}

func total(of map[string]int) (sum int) {
	for _, n := range of {
		sum += n
	}
	return sum
}

func counts(of map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[kind], kind))
	}
	return strings.Join(parts, ", ")
}
