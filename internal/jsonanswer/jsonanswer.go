// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package jsonanswer decodes the answers of a server's API, so that an answer
// without its data is an error and never an empty list. `{}`, `null`, HTML and half
// a body come from proxies, login pages and connections that break.
package jsonanswer

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// options are what encoding/json does, too, with which the servers encode.
var options = []jsontext.Options{
	jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true),
	json.MatchCaseInsensitiveNames(true), jsonv1.MatchCaseSensitiveDelimiter(true),
}

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

// ValueError is the error of an answer in which a value is none of its field. It says
// nothing of the value, which may be secret.
type ValueError struct {
	Has, Wants string
}

func (e *ValueError) Error() string {
	if e.Has == e.Wants {
		return fmt.Sprintf("it has %s that does not fit", e.Has)
	}
	return fmt.Sprintf("it has %s in place of %s", e.Has, e.Wants)
}

// Foreign reports whether err is that of an answer that the API would not give, also
// when a client of the server's vendor decoded it, with encoding/json.
func Foreign(err error) bool {
	return is[*LackError](err) || is[*ValueError](err) || is[*jsontext.SyntacticError](err) || errors.Is(err, errMore) ||
		is[*stdjson.SyntaxError](err) || is[*stdjson.UnmarshalTypeError](err)
}

func is[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

// Stream is an answer that is decoded piece by piece, as it can be large. It checks
// itself whether it lacks something.
type Stream interface {
	DecodeFrom(answer *jsontext.Decoder) error
}

// Decode decodes the one JSON value in body into what into points to, and reads
// body to its end.
//
// A list or a map must not be null. Of structs, also within lists and maps, a field
// with the tag `answer:"required"` must be there and not be null; a string must not
// be empty either. With `answer:"nonempty"` a list or a map must hold something,
// too. A number or a bool that may be 0 or false has to be a pointer.
func Decode(body io.Reader, into any) error {
	answer := &reader{Reader: body}
	decoder := jsontext.NewDecoder(answer, options...)
	err := decode(decoder, into)
	if err == nil {
		switch _, err = decoder.ReadToken(); {
		case err == nil:
			return errMore
		case errors.Is(err, io.EOF):
			return nil
		}
	}
	return answer.explain(err)
}

func decode(from *jsontext.Decoder, into any) error {
	if from.PeekKind() == 0 { // It is empty, or cannot be read.
		if _, err := from.ReadToken(); err != nil && !errors.Is(err, io.EOF) {
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
	if err := json.UnmarshalDecode(from, into); err != nil {
		return err
	}
	if field, lacking := lacks(value); lacking {
		return &LackError{Field: field}
	}
	return nil
}

// reader remembers how reading failed, as the decoder puts that in its own words.
type reader struct {
	io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.err = err
	return n, err
}

// explain names the error of a body that ends too early, and leaves out of the others
// what they quote of the answer: a value, and the names that lead to it.
func (r *reader) explain(err error) error {
	if r.err != nil && !errors.Is(r.err, io.EOF) {
		err = r.err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrCut, io.ErrUnexpectedEOF)
	}
	var other *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &other):
		return &ValueError{Has: nameOfKind(other.JSONKind), Wants: nameOfType(other.GoType)}
	case errors.As(err, &syntax):
		return &jsontext.SyntacticError{ByteOffset: syntax.ByteOffset, Err: syntax.Err}
	}
	return err
}

func nameOfKind(kind jsontext.Kind) string {
	switch kind {
	case 'n':
		return "null"
	case 't', 'f':
		return "a bool"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	default:
		return "something else"
	}
}

func nameOfType(t reflect.Type) string {
	switch t {
	case nil:
		return "what belongs there"
	case reflect.TypeFor[time.Time]():
		return "a time"
	case reflect.TypeFor[[]byte]():
		return "base64"
	}
	switch t.Kind() {
	case reflect.Bool:
		return nameOfKind('t')
	case reflect.String:
		return nameOfKind('"')
	case reflect.Slice, reflect.Array:
		return nameOfKind('[')
	case reflect.Struct, reflect.Map:
		return nameOfKind('{')
	default:
		return nameOfKind('0')
	}
}
