// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package checkpoint keeps the small state of a component across restarts, in
// a storage extension such as file_storage.
package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// Store keeps states by key, as JSON. One that is nil or zero keeps nothing:
// it finds nothing, and saving is free. It is safe for concurrent use; calls
// take turns.
type Store struct {
	id     component.ID
	client storage.Client

	mu   sync.Mutex
	kept map[string][sha256.Size]byte // of what is known to be stored, by key; zero: nothing is
}

// Open opens the storage that the configuration names with `storage`; without
// one, the Store keeps nothing. It is to be called in the component's Start,
// as extensions are started before. The name keeps apart the stores of one
// component: file_storage makes a file of each, which is open only once.
func Open(ctx context.Context, host component.Host, storageID *component.ID, kind component.Kind, id component.ID, name string) (*Store, error) {
	if storageID == nil {
		return &Store{}, nil
	}
	client, err := Client(ctx, host, *storageID, kind, id, name)
	if err != nil {
		return nil, err
	}
	return &Store{id: *storageID, client: client, kept: map[string][sha256.Size]byte{}}, nil
}

// Client opens the storage for what is no state of ours, as of a library that
// keeps its own. It is like Open, and the caller closes it.
func Client(ctx context.Context, host component.Host, storageID component.ID, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	extension, ok := host.GetExtensions()[storageID]
	if !ok {
		return nil, fmt.Errorf("storage is %s, which does not run: add it under extensions: and to service::extensions", storageID)
	}
	opener, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage is %s, which is not a storage extension: name one, such as file_storage, that is under extensions: and in service::extensions", storageID)
	}
	client, err := opener.GetClient(ctx, kind, id, name)
	if err != nil {
		return nil, fmt.Errorf("storage %s cannot be opened, check its settings and that no other collector uses it: %w", storageID, err)
	}
	return client, nil
}

// Load sets what into points to, and reports whether there was something to load.
// An error leaves it as it was, be it the storage's or that of a value which
// cannot be decoded, as after a change of its type: the caller can log it and
// go on as if nothing had been found, since the next Save replaces the value.
// What JSON would take for the new type all the same needs a new key.
func (s *Store) Load(ctx context.Context, key string, into any) (found bool, err error) {
	if s == nil || s.client == nil {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.client.Get(ctx, key)
	if err != nil {
		return false, s.unreadable(key, err)
	}
	if stored == nil {
		s.kept[key] = [sha256.Size]byte{}
		return false, nil
	}
	// Decoding stops halfway at a value that does not fit, so not yet into into.
	state := reflect.New(reflect.TypeOf(into).Elem())
	if err := json.Unmarshal(stored, state.Interface()); err != nil {
		return false, fmt.Errorf("%s in storage %s cannot be decoded, was it saved by another version? it can be ignored, the next save replaces it: %w", key, s.id, err)
	}
	reflect.ValueOf(into).Elem().Set(state.Elem())
	s.kept[key] = sha256.Sum256(stored)
	return true, nil
}

// Save stores the state, unless it is what was last saved or loaded. The whole
// of it is encoded and written each time, so the caller bounds its size. It
// holds no secrets, as anyone who reads the storage reads it; what is not
// UTF-8 has to be a []byte to come back unchanged.
func (s *Store) Save(ctx context.Context, key string, state any) error {
	if s == nil || s.client == nil {
		return nil
	}
	encoded, err := s.encode(key, state)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(ctx, storage.SetOperation(key, encoded))
}

func (s *Store) unreadable(key string, err error) error {
	return fmt.Errorf("%s cannot be read from storage %s, check its settings: %w", key, s.id, err)
}

func (s *Store) encode(key string, state any) ([]byte, error) {
	encoded, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be encoded for storage %s: %w", key, s.id, err)
	}
	return encoded, nil
}

// write does at once what of the operations is not stored already. The caller holds the
// lock.
func (s *Store) write(ctx context.Context, all ...*storage.Operation) error {
	var changes []*storage.Operation
	for _, o := range all {
		if kept, known := s.kept[o.Key]; !known || kept != sum(o) {
			changes = append(changes, o)
			delete(s.kept, o.Key) // a write that fails may have been done nonetheless
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := s.client.Batch(ctx, changes...); err != nil {
		return fmt.Errorf("%s cannot be saved in storage %s, check its space and permissions: %w", changes[0].Key, s.id, err)
	}
	for _, o := range changes {
		s.kept[o.Key] = sum(o)
	}
	return nil
}

// sum is zero for what is deleted.
func sum(o *storage.Operation) (sum [sha256.Size]byte) {
	if o.Type == storage.Set {
		sum = sha256.Sum256(o.Value)
	}
	return sum
}

// sumOf is zero for nil, which is what a storage has of a key without a value.
func sumOf(value []byte) (sum [sha256.Size]byte) {
	if value != nil {
		sum = sha256.Sum256(value)
	}
	return sum
}

// Close closes the storage. It is to be called once, after the last Save.
func (s *Store) Close(ctx context.Context) error {
	if s == nil || s.client == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.client.Close(ctx); err != nil {
		return fmt.Errorf("storage %s cannot be closed: %w", s.id, err)
	}
	return nil
}
