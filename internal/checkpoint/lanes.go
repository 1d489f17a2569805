// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
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

// besideKey returns the key of the sums of the common states, the last two, beside which
// the lanes' own states were saved. They say nothing beside another one, which a version
// that knows no lanes has saved.
func besideKey(key string) string { return keyOf("lanes", key) }

// SaveLanes stores the common state under the key, and under keys of their own what of the
// lanes is different. It is all done at once or, if the storage cannot do that, in an order in
// which no lane gets a state that it was not as far as. It returns the lanes whose own state
// is the common one; so it does if the Store keeps nothing.
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
	var writes []*storage.Operation
	var behind []string // their own keys
	apart := false      // a lane has a state of its own
	for _, lane := range lanes {
		own := keyOf(lane.Name, key)
		if lane.Behind {
			apart = true
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
			apart = true
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
	beside, err := s.beside(ctx, key, encoded, apart)
	if err != nil {
		return nil, err
	}
	writes = append(writes, beside...)
	return same, s.write(ctx, append(writes, storage.SetOperation(key, encoded))...)
}

// beside returns the writes, if any, after which the lanes' own states are those beside
// what is stored as the common state, and beside what replaces it. The caller holds the
// lock.
func (s *Store) beside(ctx context.Context, key string, next []byte, apart bool) ([]*storage.Operation, error) {
	if !apart {
		return []*storage.Operation{storage.DeleteOperation(besideKey(key))}, nil
	}
	stored, known := s.kept[key]
	if !known {
		value, err := s.client.Get(ctx, key)
		if err != nil {
			return nil, s.unreadable(key, err)
		}
		stored = sumOf(value)
	}
	if stored == sumOf(next) && s.kept[besideKey(key)] != [sha256.Size]byte{} {
		return nil, nil
	}
	return []*storage.Operation{storage.SetOperation(besideKey(key), fmt.Appendf(nil, "%x %x", stored, sumOf(next)))}, nil
}

// dropLanes deletes the lanes' own states if they are those beside another common state.
func (s *Store) dropLanes(ctx context.Context, key string, lanes []string) error {
	if s == nil || s.client == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	values := map[string][]byte{}
	for _, of := range append([]string{key, besideKey(key)}, keysOf(lanes, key)...) {
		value, err := s.client.Get(ctx, of)
		if err != nil {
			return s.unreadable(of, err)
		}
		values[of] = value
	}
	beside := values[besideKey(key)]
	match := bytes.Contains(beside, fmt.Appendf(nil, "%x", sumOf(values[key])))
	if match || beside == nil {
		s.kept[besideKey(key)] = sumOf(beside)
	}
	if match {
		return nil
	}
	var deletes []*storage.Operation
	for _, own := range keysOf(lanes, key) {
		if values[own] != nil {
			deletes = append(deletes, storage.DeleteOperation(own))
		}
	}
	return s.write(ctx, deletes...)
}

func keysOf(lanes []string, key string) (own []string) {
	for _, lane := range lanes {
		own = append(own, keyOf(lane, key))
	}
	return own
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
