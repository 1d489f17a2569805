// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lineOf is a line with data of a request and a response, and so many bytes that
// are not used.
func lineOf(request, response string, more int) []byte {
	return []byte(`{"type":"response","time":"2026-01-02T03:04:05Z","more":"` + strings.Repeat("x", more) +
		`","request":{"id":"a","data":` + request + `},"response":{"data":` + response + `}}`)
}

func TestNamedFieldsOfData(t *testing.T) {
	const hashed = "hmac-sha256:0c3"
	text := func(name, value string) Field { return Field{name, Text, value} }
	long, escaped := strings.Repeat("x", 5*usual), strings.Repeat(`\u0000`, 5*usual)
	for name, tc := range map[string]struct {
		names []string
		data  string
		want  []Field
	}{
		"none is named":          {nil, `{"a":"b"}`, nil},
		"none of that name":      {[]string{"a"}, `{"b":"c"}`, nil},
		"empty":                  {[]string{"a"}, `{}`, nil},
		"null":                   {[]string{"a"}, `null`, nil},
		"text":                   {[]string{"a"}, `"a"`, nil},
		"a list":                 {[]string{"0"}, `["a"]`, nil},
		"hashed":                 {[]string{"a"}, `{"b":"c","a":"` + hashed + `"}`, []Field{text("a", hashed)}},
		"an empty text":          {[]string{"a"}, `{"a":""}`, []Field{text("a", "")}},
		"what has no text":       {[]string{"a"}, `{"a":null}`, nil},
		"numbers":                {[]string{"a", "b"}, `{"a":-7,"b":1.5e3}`, []Field{{"a", Number, "-7"}, {"b", Number, "1.5e3"}}},
		"a number that is large": {[]string{"a"}, `{"a":1e999}`, nil},
		"a number that is long":  {[]string{"a"}, `{"a":0.` + strings.Repeat("1", longestOther) + `}`, nil},
		"booleans":               {[]string{"a", "b"}, `{"a":true,"b":false}`, []Field{{"a", Boolean, "true"}, {"b", Boolean, "false"}}},
		"objects and lists":      {[]string{"a", "b", "c"}, `{"a":{"c":"d"},"b":["c",{"c":1}],"c":"e"}`, []Field{text("c", "e")}},
		"of an object":           {[]string{"c", "a.c"}, `{"a":{"c":"d"}}`, nil},
		"in the order named":     {[]string{"b", "a"}, `{"a":"1","b":"2"}`, []Field{text("b", "2"), text("a", "1")}},
		"twice":                  {[]string{"a"}, `{"a":"1","a":"2"}`, []Field{text("a", "1")}},
		"first as a list":        {[]string{"a"}, `{"a":[1],"a":"2"}`, nil},
		"case counts":            {[]string{"a"}, `{"A":"1"}`, nil},
		"escapes":                {[]string{"a<\"", "c"}, `{"a\u003c\"":"\"}\\","b\\":"}","c":"\u00e4"}`, []Field{text("a<\"", `"}\`), text("c", "ä")}},
		"spaces":                 {[]string{"a", "b"}, "{ \"a\" : [ 1 , \"]\" ] ,\n\t\"b\" : 7 }", []Field{{"b", Number, "7"}}},
		"long":                   {[]string{"a", "b"}, `{"a":"` + long + `","b":"c"}`, []Field{text("a", long[:longestText]), text("b", "c")}},
		"long when escaped":      {[]string{"a", "b"}, `{"a":"` + escaped + `","b":"c"}`, []Field{text("a", strings.Repeat("\x00", longestText)), text("b", "c")}},
		"escaped, but for one":   {[]string{"a"}, `{"a":"x` + escaped + `"}`, []Field{text("a", "x"+strings.Repeat("\x00", longestText-1))}},
		"quotes":                 {[]string{"a"}, `{"a":"` + strings.Repeat(`\"`, 5*usual) + `"}`, []Field{text("a", strings.Repeat(`"`, longestText))}},
	} {
		t.Run(name, func(t *testing.T) {
			reader := Reader{Data: tc.names}
			for what, line := range map[string][]byte{"short": lineOf(tc.data, `{}`, 0), "long": lineOf(tc.data, `{}`, usual)} {
				e, err := reader.Read(line)
				require.NoError(t, err, what)
				var want *Data
				if tc.want != nil {
					want = &Data{Request: tc.want}
				}
				assert.Equal(t, want, e.Data, what)
			}
			e, err := reader.Read(lineOf(`null`, tc.data, usual))
			require.NoError(t, err)
			if tc.want == nil {
				assert.Nil(t, e.Data)
				return
			}
			assert.Equal(t, &Data{Response: tc.want}, e.Data)
			stored, err := json.Marshal(e)
			require.NoError(t, err)
			var again Entry
			require.NoError(t, json.Unmarshal(stored, &again))
			assert.Equal(t, e, &again, "stored and read again")
		})
	}
}

// A line without a request or a response is the same whatever is named.
func TestNamesChangeNothingElse(t *testing.T) {
	bare, naming := Reader{}, Reader{Data: []string{"a"}}
	for _, rest := range []string{``, `,"request":null`, `,"request":[]`, `,"request":{"id":"a"}`, `,"request":{"id":"a"},"response":null`, `,"request":{"id":"a"},"response":[0]`} {
		for _, more := range []int{0, usual} {
			line := []byte(`{"type":"request","time":"2026-01-02T03:04:05Z","more":"` + strings.Repeat("x", more) + `"` + rest + `}`)
			want, wantErr := bare.Read(line)
			got, err := naming.Read(line)
			assert.Equal(t, want, got, rest)
			assert.Equal(t, wantErr == nil, err == nil, rest)
		}
	}
}

func TestDataIsNarrowedAndRewritten(t *testing.T) {
	var none *Data
	assert.Nil(t, none.Only([]string{"a"}))
	none.Rewrite(strings.ToUpper)
	d := &Data{Request: []Field{{"a", Text, "x"}, {"b", Boolean, "true"}}, Response: []Field{{"b", Text, "y"}}}
	d.Rewrite(strings.ToUpper)
	d = d.Only([]string{"a", "b"})
	assert.Equal(t, &Data{Request: []Field{{"a", Text, "X"}, {"b", Boolean, "true"}}, Response: []Field{{"b", Text, "Y"}}}, d)
	d = d.Only([]string{"a"})
	assert.Equal(t, &Data{Request: []Field{{"a", Text, "X"}}, Response: []Field{}}, d)
	assert.Nil(t, d.Only(nil))
}

// Neither do fields that are not named take memory, nor long values of those that are.
func TestFieldsOfBombsTakeNoMemory(t *testing.T) {
	reader := Reader{Data: []string{"a", "b"}}
	bombs := map[string]string{
		"fields":       `{` + strings.Repeat(`"c":0,`, 1<<18) + `"a":"b"}`,
		"named fields": `{` + strings.Repeat(`"a":"b",`, 1<<18) + `"b":0}`,
		"a value":      `{"a":"` + strings.Repeat(`\n`, 1<<20) + `"}`,
		"a list":       `{"a":"b","b":[` + strings.Repeat(`0,`, 1<<20) + `0]}`,
	}
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			line := lineOf(bomb, bomb, 0)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, err := reader.Read(line)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.NotNil(t, e.Data)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "all that was allocated meanwhile")
		})
	}
}

// Whatever is in data: a long line tells of it what a short one does.
func FuzzNamedFieldsOfData(f *testing.F) {
	for _, data := range []string{`{"a":"b"}`, `{"a":[{"b":"}"}],"b":1e3}`, `{"\u0061":true,"b":"\\"}`, `{ "a" : {} , "b":null}`} {
		f.Add(data)
	}
	reader := Reader{Data: []string{"a", "b", `"`}}
	f.Fuzz(func(t *testing.T, data string) {
		if !json.Valid([]byte(data)) || !utf8.ValidString(data) || len(data) > usual/2 {
			return
		}
		short, err := reader.Read(lineOf(data, data, 0))
		if err != nil {
			return // It is too deep.
		}
		long, err := reader.Read(lineOf(data, data, usual))
		require.NoError(t, err)
		require.Equal(t, short, long)
	})
}
