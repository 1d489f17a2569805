// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// Lane is one of several that share a state, but may each be at another point of it.
type Lane struct {
	Name string

	// Behind means that the lane is not as far yet, so it stays as it was saved before.
	Behind bool

	// Own is the lane's own state; nil: it has the common one.
	Own any
}

// keyOf returns the key of a lane's own state. No key of a slot begins like that, whatever
// name that a user has chosen is in it.
func keyOf(lane, key string) string { return lane + " of " + key }

// SaveLanes stores the common state under the key, and under keys of their own what of the
// lanes is different, all at once. It returns the lanes whose own state is the common one; so it
// does if the Store keeps nothing.
func (s *Store) SaveLanes(ctx context.Context, key string, common any, lanes []Lane) (same []string, err error) {
	if s == nil {
		s = &Store{}
	}
	keeps := s.client != nil
	if !keeps && !slices.ContainsFunc(lanes, func(l Lane) bool { return l.Own != nil }) {
		return nil, nil
	}
	encoded, err := s.encode(key, common)
	if err != nil {
		return nil, err
	}
	writes := []*storage.Operation{storage.SetOperation(key, encoded)}
	var behind []string // their own keys
	for _, lane := range lanes {
		own := keyOf(lane.Name, key)
		if lane.Behind {
			behind = append(behind, own)
			continue
		}
		var state []byte
		if lane.Own != nil {
			if state, err = s.encode(own, lane.Own); err != nil {
				return nil, err
			}
			if bytes.Equal(state, encoded) {
				state, same = nil, append(same, lane.Name)
			}
		}
		if state == nil {
			writes = append(writes, storage.DeleteOperation(own))
		} else {
			writes = append(writes, storage.SetOperation(own, state))
		}
	}
	if !keeps {
		return same, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, own := range behind {
		before, err := s.before(ctx, key, own)
		if err != nil {
			return nil, err
		}
		writes = append(writes, before...)
	}
	return same, s.write(ctx, writes...)
}

// before returns the writes, if any, after which a lane has under its own key what was
// saved of it before. The caller holds the lock.
func (s *Store) before(ctx context.Context, key, own string) ([]*storage.Operation, error) {
	if s.kept[own] != [sha256.Size]byte{} {
		return nil, nil
	}
	for _, of := range []string{own, key} {
		saved, err := s.client.Get(ctx, of)
		if err != nil {
			return nil, s.unreadable(of, err)
		}
		if saved != nil {
			return []*storage.Operation{storage.SetOperation(own, saved)}, nil
		}
	}
	return []*storage.Operation{storage.SetOperation(own, []byte("null"))}, nil // Nothing was.
}
