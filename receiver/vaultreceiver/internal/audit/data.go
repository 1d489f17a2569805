// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"math"
	"slices"
	"strconv"

	"github.com/valyala/fastjson"
)

// Data is what is named of the data of a request and of its response.
type Data struct {
	Request, Response []Field
}

// Field is a field of data with its value as Vault wrote it.
type Field struct {
	Name string
	Type Type
	Text string // the value, a number as it is written; "true" or "false" of a boolean
}

// Type is what a value is.
type Type int

// The types. Lists and objects are left out, as Vault hashes only what is in them,
// and so is null.
const (
	Text Type = iota + 1 // hashed, unless Vault was told not to
	Number
	Boolean
)

// Only leaves out of d what is not named, and returns nil when nothing is left.
func (d *Data) Only(names []string) *Data {
	if d == nil {
		return nil
	}
	unnamed := func(f Field) bool { return !slices.Contains(names, f.Name) }
	return some(Data{slices.DeleteFunc(d.Request, unnamed), slices.DeleteFunc(d.Response, unnamed)})
}

// Rewrite has each text replaced by what rewrite makes of it.
func (d *Data) Rewrite(rewrite func(text string) string) {
	if d == nil {
		return
	}
	for _, fields := range [][]Field{d.Request, d.Response} {
		for i := range fields {
			if fields[i].Type == Text {
				fields[i].Text = rewrite(fields[i].Text)
			}
		}
	}
}

// some returns nil when there is nothing, which nearly all entries share.
func some(d Data) *Data {
	if len(d.Request) == 0 && len(d.Response) == 0 {
		return nil
	}
	return &d
}

// fields returns what is named of data, in the order of the names.
func (r *Reader) fields(data *fastjson.Value) (fields []Field) {
	if data == nil || data.Type() != fastjson.TypeObject {
		return nil
	}
	for _, name := range r.Data {
		if value := data.Get(name); value != nil {
			if f, ok := field(name, value); ok {
				fields = append(fields, f)
			}
		}
	}
	return fields
}

func field(name string, value *fastjson.Value) (f Field, ok bool) {
	f.Name = name
	switch value.Type() {
	case fastjson.TypeString:
		f.Type, f.Text = Text, bounded(value.GetStringBytes())
	case fastjson.TypeNumber:
		written := value.MarshalTo(nil) // by the caller, in a request
		number, err := strconv.ParseFloat(string(written), 64)
		if len(written) > longestText || err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
			return f, false
		}
		f.Type, f.Text = Number, string(written)
	case fastjson.TypeTrue, fastjson.TypeFalse:
		f.Type, f.Text = Boolean, value.String()
	default:
		return f, false
	}
	return f, true
}
