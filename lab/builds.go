// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

const (
	reportEvery = 15 * time.Second
	lockPoll    = 200 * time.Millisecond
)

// Builds are the executables that are missing, in the order in which they are built.
type Builds struct {
	progress io.Writer
	missing  []job
	ended    []endedBuild
	begun    int
}

// job builds one executable.
type job interface {
	server() string // its name
	label() string  // its name and version
	processorTime() time.Duration
	built() (bool, error)
	lockPath() string // in a folder that is made if missing
	build(ctx context.Context) error
}

// FindMissing finds out which of the named servers have to be built, of [ServerNames]
// when none is named; [CollectorName] is a name, too. It reports on progress, which may be
// nil, which executables are used instead.
func FindMissing(ctx context.Context, progress io.Writer, names ...string) (*Builds, error) {
	servers := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == CollectorName })
	b := &Builds{progress: orDiscard(progress)}
	if len(names) == 0 || len(servers) > 0 {
		picked, err := recipesOf(servers)
		if err != nil {
			return nil, err
		}
		for _, r := range picked {
			found, err := find(ctx, r)
			if err != nil {
				return nil, err
			}
			b.add(found)
		}
	}
	if len(servers) < len(names) {
		found, err := findCollector()
		if err != nil {
			return nil, err
		}
		b.add(found)
	}
	slices.SortStableFunc(b.missing, func(a, c job) int { return rank(a) - rank(c) })
	return b, nil
}

func (b *Builds) add(f found) {
	f.report(b.progress)
	if f.job != nil {
		b.missing = append(b.missing, f.job)
	}
}

// rank puts the collector behind the servers of [FirstServers].
func rank(j job) int {
	switch {
	case slices.Contains(FirstServers(), j.server()):
		return 0
	case j.server() == CollectorName:
		return 1
	default:
		return 2
	}
}

// Missing says whether one of the named executables is still to be built.
func (b *Builds) Missing(names ...string) bool {
	return slices.ContainsFunc(b.missing, func(j job) bool { return slices.Contains(names, j.server()) })
}

// Run builds the named executables that are missing, all of them when none is named,
// one after the other. The time left that it reports is that of all that are missing.
func (b *Builds) Run(ctx context.Context, names ...string) error {
	for len(b.missing) > 0 {
		j := b.missing[0]
		if len(names) > 0 && !slices.Contains(names, j.server()) {
			return nil
		}
		if err := b.runFirst(ctx, j); err != nil {
			return err
		}
		b.missing = b.missing[1:]
	}
	return nil
}

// runFirst builds under a lock, as several test processes may ask at once.
func (b *Builds) runFirst(ctx context.Context, j job) error {
	b.begun++
	position := fmt.Sprintf("%d of %d", b.begun, b.begun+len(b.missing)-1)
	if err := os.MkdirAll(filepath.Dir(j.lockPath()), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", j.server(), err)
	}
	lock := flock.New(j.lockPath())
	defer lock.Close()
	if err := b.lock(ctx, lock, j); err != nil {
		return err
	}
	if built, err := j.built(); built || err != nil {
		return err // another process has built it meanwhile
	}
	var costs []time.Duration
	for _, m := range b.missing {
		costs = append(costs, m.processorTime())
	}
	start := time.Now()
	stop := every(b.progress, func() string {
		elapsed := time.Since(start)
		left := timeLeft(runtime.GOMAXPROCS(0), b.ended, elapsed, costs...)
		return fmt.Sprintf("lab: building %s (%s), %s; %s\n", j.label(), position, round(elapsed), inWords(left))
	})
	err := j.build(ctx)
	stop()
	if err != nil {
		return err
	}
	took := time.Since(start)
	b.ended = append(b.ended, endedBuild{cost: j.processorTime(), took: took})
	fmt.Fprintf(b.progress, "lab: built %s (%s) in %s\n", j.label(), position, round(took))
	return nil
}

func (b *Builds) lock(ctx context.Context, lock *flock.Flock, j job) error {
	locked, err := lock.TryLock()
	if err == nil && !locked {
		start := time.Now()
		stop := every(b.progress, func() string {
			return fmt.Sprintf("lab: waiting for another process that builds %s, %s\n", j.label(), round(time.Since(start)))
		})
		_, err = lock.TryLockContext(ctx, lockPoll)
		stop()
	}
	if err != nil {
		return fmt.Errorf("lock the build of %s with %s: %w", j.server(), lock.Path(), err)
	}
	return nil
}

// every writes line() now and every 15 seconds, until the function it gives is called.
func every(progress io.Writer, line func() string) (stop func()) {
	fmt.Fprint(progress, line())
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				fmt.Fprint(progress, line())
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }
