// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"context"
	"errors"
)

// Slot keeps one state of a Store, under one key, and what lanes have that are at another
// point: see Lane.
type Slot[T any] struct {
	Store *Store
	Key   string

	// Report takes the outcome of every load and save.
	Report func(error)
}

// Load returns what an earlier process saved, if it can be read.
func (s Slot[T]) Load(ctx context.Context) (saved T, found bool) {
	found, err := s.Store.Load(ctx, s.Key, &saved)
	s.Report(err)
	return saved, found && err == nil
}

// Save stores the state, unless it is stored already.
func (s Slot[T]) Save(ctx context.Context, state T) error {
	err := s.Store.Save(ctx, s.Key, state)
	s.Report(err)
	return err
}

// LoadLanes returns what an earlier process saved with SaveLanes, or with Save: the
// common state, and the states of the lanes that were at another point, unless a version
// that knows no lanes has saved since. One that is nil was not saved.
func (s Slot[T]) LoadLanes(ctx context.Context, lanes ...string) (common *T, own map[string]*T) {
	load := func(key string) (saved *T, found bool, err error) {
		found, err = s.Store.Load(ctx, key, &saved)
		return saved, found && err == nil, err
	}
	common, _, err := load(s.Key)
	errs := []error{err}
	own = map[string]*T{}
	if err := s.Store.dropLanes(ctx, s.Key, lanes); err != nil {
		s.Report(errors.Join(append(errs, err)...))
		return common, own
	}
	for _, lane := range lanes {
		saved, found, err := load(keyOf(lane, s.Key))
		if found {
			own[lane] = saved
		}
		errs = append(errs, err)
	}
	s.Report(errors.Join(errs...))
	return common, own
}

// SaveLanes stores the common state, and those of the lanes that are at another point:
// see Store.SaveLanes.
func (s Slot[T]) SaveLanes(ctx context.Context, common any, lanes []Lane) (same []string, err error) {
	same, err = s.Store.SaveLanes(ctx, s.Key, common, lanes)
	s.Report(err)
	return same, err
}
