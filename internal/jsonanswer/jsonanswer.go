// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package jsonanswer decodes the answers of a server's API, so that an answer
// without its data is an error and never an empty list. `{}`, `null`, HTML and half
// a body come from proxies, login pages and connections that break.
package jsonanswer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

var (
	// ErrCut is the error of an answer of which the end is missing.
	ErrCut = errors.New("the answer is incomplete")

	errMore = errors.New("there is more after the end of it")
)

// LackError is the error of an answer without the data that was asked for.
type LackError struct {
	Field string // that is missing, by its path; empty: all of it
}

func (e *LackError) Error() string {
	if e.Field == "" {
		return "it has no data"
	}
	return "it lacks " + e.Field
}

// Foreign reports whether err is that of an answer that the API would not give.
func Foreign(err error) bool {
	var lacks *LackError
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	return errors.As(err, &lacks) || errors.As(err, &syntax) || errors.As(err, &other) || errors.Is(err, errMore)
}

// Stream is an answer that is decoded piece by piece, as it can be large. It checks
// itself whether it lacks something.
type Stream interface {
	DecodeFrom(answer *json.Decoder) error
}

// Decode decodes the one JSON value in body into what into points to, and reads
// body to its end.
//
// A list or a map must not be null. Of structs, also within lists and maps, a field
// with the tag `answer:"required"` must be there and not be null; a string must not
// be empty either. With `answer:"nonempty"` a list or a map must hold something,
// too. A number or a bool that may be 0 or false has to be a pointer.
func Decode(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	if err := decode(decoder, into); err != nil {
		return cut(err)
	}
	switch _, err := decoder.Token(); {
	case err == nil:
		return errMore
	case !errors.Is(err, io.EOF):
		return cut(err)
	}
	return nil
}

func decode(from *json.Decoder, into any) error {
	if !from.More() { // It is empty, or cannot be read.
		if _, err := from.Token(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return &LackError{}
	}
	if stream, ok := into.(Stream); ok {
		return stream.DecodeFrom(from)
	}
	value := reflect.ValueOf(into).Elem()
	lacks := checkOf(value.Type(), true)
	if lacks == nil {
		return fmt.Errorf("nothing is required of a %T, so anything would be one", into)
	}
	if err := from.Decode(into); err != nil {
		return err
	}
	if field, lacking := lacks(value); lacking {
		return &LackError{Field: field}
	}
	return nil
}

// cut names the error of a body that ends too early.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrCut, io.ErrUnexpectedEOF)
	}
	return err
}
