// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Keys in etcd.
const (
	counts       = "/order/stock/"        // <item>: how many are left
	reservations = "/order/reservations/" // <order>: a reservation, as JSON
	locks        = "/order/locks/stock/"  // <item>: the lock around its count
)

// What a request ends with that must not be tried again.
var (
	errOutOfStock = errors.New("out of stock")
	errReleased   = errors.New("the reservation was released")
)

var tracer = otel.Tracer("stock")

// reservation is what one order has reserved. It stays when it is released, so
// that a reservation which comes too late, of a try that was given up, is refused.
type reservation struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Released bool   `json:"released,omitempty"`
}

// stock reserves items. All instances of the service share the counts in etcd.
type stock struct {
	client   *clientv3.Client
	sessions *sessions
	hold     atomic.Int64 // nanoseconds for which the lock is held at least

	turns sync.Map // by item: a chan struct{}, see turn
}

// reserve takes quantity items out of the stock for an order. The same order
// reserves once, however often it asks.
func (s *stock) reserve(ctx context.Context, order, item string, quantity int) error {
	return s.locked(ctx, item, func(ctx context.Context, owner clientv3.Cmp) error {
		before, err := s.read(ctx, order, item)
		switch {
		case err != nil:
			return err
		case before.Released:
			return fmt.Errorf("reserve for order %s: %w", order, errReleased)
		case before.revision != 0:
			return nil
		case before.left < quantity:
			return fmt.Errorf("reserve %d of %s, of which there are %d: %w", quantity, item, before.left, errOutOfStock)
		}
		return s.write(ctx, owner, order, before, reservation{Item: item, Quantity: quantity}, before.left-quantity)
	})
}

// release gives back what an order has reserved, once. An order that has
// reserved nothing cannot do so later.
func (s *stock) release(ctx context.Context, order string) error {
	key := reservations + order
	got, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, `{"released":true}`)).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return fmt.Errorf("read the reservation of order %s: %w", order, err)
	}
	if got.Succeeded {
		return nil
	}
	var reserved reservation
	if err := json.Unmarshal(got.Responses[0].GetResponseRange().Kvs[0].Value, &reserved); err != nil {
		return fmt.Errorf("read the reservation of order %s: %w", order, err)
	}
	if reserved.Released {
		return nil
	}
	return s.locked(ctx, reserved.Item, func(ctx context.Context, owner clientv3.Cmp) error {
		before, err := s.read(ctx, order, reserved.Item)
		if err != nil || before.Released {
			return err
		}
		after := before.reservation
		after.Released = true
		return s.write(ctx, owner, order, before, after, before.left+before.Quantity)
	})
}

// state is what etcd holds about an order and its item.
type state struct {
	reservation
	revision int64 // of the reservation; 0 if there is none
	left     int   // of the item
}

func (s *stock) read(ctx context.Context, order, item string) (state, error) {
	var now state
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(reservations+order), clientv3.OpGet(counts+item)).Commit()
	if err != nil {
		return now, fmt.Errorf("read the stock of %s: %w", item, err)
	}
	if reserved := got.Responses[0].GetResponseRange().Kvs; len(reserved) > 0 {
		now.revision = reserved[0].ModRevision
		if err := json.Unmarshal(reserved[0].Value, &now.reservation); err != nil {
			return now, fmt.Errorf("read the reservation of order %s: %w", order, err)
		}
	}
	if counted := got.Responses[1].GetResponseRange().Kvs; len(counted) > 0 { // else there is none of it
		if now.left, err = strconv.Atoi(string(counted[0].Value)); err != nil {
			return now, fmt.Errorf("key %s%s is not a number: write one", counts, item)
		}
	}
	return now, nil
}

// write writes the reservation and what is left in one transaction, if the lock
// is still held and the reservation still as it was read.
func (s *stock) write(ctx context.Context, owner clientv3.Cmp, order string, before state, after reservation, left int) error {
	value, err := json.Marshal(after)
	if err != nil {
		return fmt.Errorf("encode the reservation of order %s: %w", order, err)
	}
	key := reservations + order
	done, err := s.client.Txn(ctx).If(owner, clientv3.Compare(clientv3.ModRevision(key), "=", before.revision)).Then(
		clientv3.OpPut(counts+after.Item, strconv.Itoa(left)),
		clientv3.OpPut(key, string(value)),
	).Commit()
	if err != nil {
		return fmt.Errorf("change the stock of %s: %w", after.Item, err)
	}
	if !done.Succeeded {
		return fmt.Errorf("change the stock of %s: the lock was lost or order %s was released meanwhile; try again", after.Item, order)
	}
	return nil
}

// end ends a span. That there is nothing left is no failure of ours.
func end(span trace.Span, err error) {
	if err != nil && !errors.Is(err, errOutOfStock) && !errors.Is(err, errReleased) {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
