// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checkpoint

import "context"

// Slot keeps one state of a Store, under one key.
type Slot[T any] struct {
	Store *Store
	Key   string

	// Report takes the outcome of every Load and Save.
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
