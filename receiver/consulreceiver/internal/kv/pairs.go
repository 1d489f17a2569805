// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"cmp"
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// entry is a key as Consul sends it.
type entry struct {
	Key                      string
	CreateIndex, ModifyIndex uint64
	Flags, LockIndex         uint64
	Session                  string
	Value                    []byte
}

// readPairs reads the keys under a prefix. It passes them to take one by one, so that
// their values are not in memory all at once.
func readPairs(ctx context.Context, c *consulapi.Client, prefix string, q consulapi.Query, take func(entry)) (consulapi.Meta, error) {
	q.Recurse = true
	return c.StreamIndexed(ctx, Endpoint+prefix, q, pairs(take))
}

// pairs takes the keys of an answer.
type pairs func(entry)

// DecodeFrom implements jsonanswer.Stream. To Consul, no keys are "not found", so it
// never sends an empty list.
func (take pairs) DecodeFrom(answer *jsontext.Decoder) error {
	if token, err := answer.ReadToken(); err != nil || token.Kind() != '[' {
		return cmp.Or[error](err, &jsonanswer.LackError{})
	}
	empty := true
	for ; answer.PeekKind() != ']'; empty = false {
		var pair entry
		if err := json.UnmarshalDecode(answer, &pair); err != nil {
			return err
		}
		if field := pair.lacks(); field != "" {
			return &jsonanswer.LackError{Field: "*." + field}
		}
		take(pair)
	}
	if _, err := answer.ReadToken(); err != nil {
		return err
	}
	if empty {
		return &jsonanswer.LackError{}
	}
	return nil
}

// lacks returns the field without which it is no key.
func (e entry) lacks() string {
	switch {
	case e.Key == "":
		return "Key"
	case e.CreateIndex == 0:
		return "CreateIndex"
	case e.ModifyIndex == 0:
		return "ModifyIndex"
	default:
		return ""
	}
}
