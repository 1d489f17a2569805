// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package jsonanswer

import (
	"cmp"
	"reflect"
	"strings"
)

// check returns the path of a field that a value lacks, if it lacks one.
type check func(reflect.Value) (field string, lacks bool)

// checkOf returns the check of a type, or nil if nothing is required of it.
// required means that a value must not be its type's zero value.
func checkOf(t reflect.Type, required bool) check {
	var within check
	switch t.Kind() {
	case reflect.Struct:
		return checkOfStruct(t) // That it is there, its fields say.
	case reflect.Pointer:
		if within = checkOf(t.Elem(), false); within != nil {
			within = within.below("", pointee)
		}
	case reflect.Slice, reflect.Map:
		if within = checkOf(t.Elem(), false); within != nil {
			within = within.below("*", elements(t.Kind()))
		}
	}
	if !required {
		return within
	}
	return func(v reflect.Value) (string, bool) {
		if v.IsZero() {
			return "", true
		}
		if within == nil {
			return "", false
		}
		return within(v)
	}
}

func checkOfStruct(t reflect.Type) check {
	var checks []check
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() && !field.Anonymous {
			continue
		}
		tag := field.Tag.Get("answer")
		of := checkOf(field.Type, tag != "")
		if tag == "nonempty" {
			of = of.nonempty()
		}
		if of == nil {
			continue
		}
		checks = append(checks, of.below(nameOf(field), func(v reflect.Value, yield func(reflect.Value) bool) { yield(v.Field(i)) }))
	}
	if checks == nil {
		return nil
	}
	return func(v reflect.Value) (string, bool) {
		for _, c := range checks {
			if field, lacks := c(v); lacks {
				return field, true
			}
		}
		return "", false
	}
}

// nameOf returns the name of a field in JSON; none of a struct that is embedded.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "" && field.Anonymous {
		return ""
	}
	return cmp.Or(name, field.Name)
}

// below returns the check of a value by those parts of it that c is for.
func (c check) below(name string, parts func(v reflect.Value, yield func(reflect.Value) bool)) check {
	return func(v reflect.Value) (field string, lacks bool) {
		parts(v, func(part reflect.Value) bool {
			field, lacks = c(part)
			return !lacks
		})
		return strings.Trim(name+"."+field, "."), lacks
	}
}

func (c check) nonempty() check {
	return func(v reflect.Value) (string, bool) {
		if v.Len() == 0 {
			return "", true
		}
		return c(v)
	}
}

func pointee(v reflect.Value, yield func(reflect.Value) bool) {
	if !v.IsNil() {
		yield(v.Elem())
	}
}

func elements(kind reflect.Kind) func(v reflect.Value, yield func(reflect.Value) bool) {
	if kind == reflect.Map {
		return func(v reflect.Value, yield func(reflect.Value) bool) {
			for of := v.MapRange(); of.Next() && yield(of.Value()); {
			}
		}
	}
	return func(v reflect.Value, yield func(reflect.Value) bool) {
		for i := range v.Len() {
			if !yield(v.Index(i)) {
				return
			}
		}
	}
}
