// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
)

// Fork is a state with which a signal goes on by itself. S is the function that steps it.
type Fork[S any] struct {
	Step S

	// Fork returns another one that goes on by itself from the present state. It may be nil
	// if no step reports anything.
	Fork func() Fork[S]

	// Save returns what of the state must survive a restart. It may be nil if nothing does.
	Save func() any
}

// StepFork steps a Fork in a Loop. gap means that observations were left out before.
type StepFork[O any] func(now time.Time, observed O, gap bool) Telemetry

// Kept is how the states of a Loop survive a restart: the common one, and those with
// which signals go on by themselves.
type Kept[S any] struct {
	// Save returns what must survive of the common state.
	Save func() any

	// Changed, which may be nil, says whether that may have changed with the last Step.
	Changed func() bool

	// Forks has the signals that go on by themselves from the beginning, as they were at
	// different points when the earlier process ended.
	Forks map[string]Fork[S]

	// Store stores what the states save. It returns the signals whose state is the common one.
	Store func(ctx context.Context, common any, signals []checkpoint.Lane) (same []string, err error)
}

// State is what a Loop steps. T is what of it must survive a restart.
// M is its own type.
type State[T, M any] interface {
	Save() T
	// Restore goes on from what an earlier process saved, before the first step.
	Restore(saved T)
	cloner[M]
}

// cloner is a state of which there can be another one that goes on by itself.
type cloner[M any] interface{ Clone() M }

// ForkOf returns the Fork of a state, which stepOf steps. It is saved with the lock held.
func ForkOf[T, S any, M State[T, M]](lock sync.Locker, state M, stepOf func(M) S) Fork[S] {
	return Fork[S]{
		Step: stepOf(state), Save: saveOf(lock, state),
		Fork: func() Fork[S] { return ForkOf(lock, state.Clone(), stepOf) },
	}
}

// ForkUnsaved returns the Fork of a state of which nothing must survive a restart.
func ForkUnsaved[S any, M cloner[M]](state M, stepOf func(M) S) Fork[S] {
	return Fork[S]{Step: stepOf(state), Fork: func() Fork[S] { return ForkUnsaved(state.Clone(), stepOf) }}
}

func saveOf[T, M any](lock sync.Locker, state State[T, M]) func() any {
	return func() any {
		lock.Lock()
		defer lock.Unlock()
		return state.Save()
	}
}

// Keep restores what an earlier process kept in a slot: the common state, and those of the
// signals that were at another point, for which fresh returns a new one. It returns how they
// survive the next restart. The lock is held while a state is restored or saved.
func Keep[T, S any, M State[T, M]](ctx context.Context, slot checkpoint.Slot[T], lock sync.Locker, common M, fresh func() M, stepOf func(M) S) *Kept[S] {
	saved, own := slot.LoadLanes(ctx, signalLogs, signalTraces)
	restore := func(state M, saved *T) M {
		lock.Lock()
		defer lock.Unlock()
		if saved != nil { // Else nothing was.
			state.Restore(*saved)
		}
		return state
	}
	kept := &Kept[S]{Save: saveOf(lock, restore(common, saved)), Store: slot.SaveLanes, Forks: map[string]Fork[S]{}}
	for signal, saved := range own {
		kept.Forks[signal] = ForkOf(lock, restore(fresh(), saved), stepOf)
	}
	return kept
}

// Wrapped returns a Fork that is stepped with another function, which is made of its own.
func Wrapped[S, W any](f Fork[S], wrap func(S) W) Fork[W] {
	wrapped := Fork[W]{Step: wrap(f.Step), Save: f.Save}
	if f.Fork != nil {
		wrapped.Fork = func() Fork[W] { return Wrapped(f.Fork(), wrap) }
	}
	return wrapped
}

// WrappedKept returns the same with forks that are stepped with other functions.
func WrappedKept[S, W any](k *Kept[S], wrap func(S) W) *Kept[W] {
	if k == nil {
		return nil
	}
	wrapped := &Kept[W]{Save: k.Save, Changed: k.Changed, Store: k.Store, Forks: map[string]Fork[W]{}}
	for signal, fork := range k.Forks {
		wrapped.Forks[signal] = Wrapped(fork, wrap)
	}
	return wrapped
}
