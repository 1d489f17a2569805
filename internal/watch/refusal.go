// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"reflect"

	"go.opentelemetry.io/collector/consumer/consumererror"
)

// refusal is what one consumer refused of a batch.
type refusal[T any] struct {
	data      T
	permanent bool
}

// refusals returns what each of the consumers behind an error refused of a
// batch: several of them may join their errors. part returns the data that a
// partial error names.
func refusals[T any](err error, batch T, part func(error) (T, bool)) (found []refusal[T]) {
	for ; err != nil; err = errors.Unwrap(err) {
		if consumererror.IsPermanent(only{err}) {
			return []refusal[T]{{batch, true}}
		}
		if named, ok := part(only{err}); ok {
			batch = named
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, each := range joined.Unwrap() {
				found = append(found, refusals(each, batch, part)...)
			}
			return found
		}
		if errors.Unwrap(err) == nil {
			return []refusal[T]{{batch, false}}
		}
	}
	return found
}

// only is an error without what it wraps: errors.As and what is built on it find
// in a whole tree what may be true of one of the joined errors alone.
type only struct{ error }

// As implements what errors.As calls.
func (o only) As(target any) bool {
	into := reflect.ValueOf(target).Elem()
	if !reflect.TypeOf(o.error).AssignableTo(into.Type()) {
		return false
	}
	into.Set(reflect.ValueOf(o.error))
	return true
}

// retryable returns what is left to deliver of a batch, and how many records no
// consumer will accept any more when nothing is left. When several consumers may
// still accept, all of the batch is left.
func retryable[T any](refused []refusal[T], batch T, count func(T) int) (left T, again bool, dropped int) {
	for _, r := range refused {
		switch {
		case r.permanent:
			dropped += count(r.data)
		case again:
			left = batch
		default:
			left, again = r.data, true
		}
	}
	again = again && count(left) > 0 // A partial error may name nothing.
	return left, again, min(dropped, count(batch))
}
