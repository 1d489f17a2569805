// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package jsonanswer

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type node struct {
	Name string `json:"node" answer:"required"`
	Tags []string
}

type nodes struct {
	Data struct {
		Keys  []string        `json:"keys" answer:"required"`
		Count *int            `answer:"required"`
		Info  map[string]node `answer:"nonempty"`
		Note  *node
	} `json:"data"`
	embedded
}

type embedded struct {
	ID string `answer:"required"`
}

type flow struct{ n int }

func (f *flow) DecodeFrom(answer *jsontext.Decoder) error {
	if token, err := answer.ReadToken(); err != nil || token.Kind() != '[' {
		return errors.Join(err, &LackError{})
	}
	for ; answer.PeekKind() != ']'; f.n++ {
		if err := jsonv2.UnmarshalDecode(answer, new(int)); err != nil {
			return err
		}
	}
	_, err := answer.ReadToken()
	return err
}

const full = `{"data":{"keys":[],"count":0,"info":{"a":{"node":"n"}},"note":null},"id":"x"}`

func TestAnAnswerThatLacksItsData(t *testing.T) {
	into := map[string]func() any{
		"struct": func() any { return new(nodes) },
		"list":   func() any { return new([]node) },
		"map":    func() any { return new(map[string]json.RawMessage) },
		"text":   func() any { return new(*string) },
		"stream": func() any { return new(flow) },
	}
	for kind, bodies := range map[string]map[string]string{
		"struct": {
			full:   "",
			``:     "it has no data",
			"\n":   "it has no data",
			`null`: "it lacks data.keys",
			`{}`:   "it lacks data.keys",
			`[]`:   "it has an array in place of an object",
			`{"request_id":"r","wrap_info":{"token":"hvs.x"},"data":null}`: "it lacks data.keys",
			strings.Replace(full, `[]`, `null`, 1):                         "it lacks data.keys",
			strings.Replace(full, `"count":0`, `"count":null`, 1):          "it lacks data.Count",
			strings.Replace(full, `{"a":{"node":"n"}}`, `{}`, 1):           "it lacks data.Info",
			strings.Replace(full, `{"node":"n"}`, `{}`, 1):                 "it lacks data.Info.*.node",
			strings.Replace(full, `{"node":"n"}`, `null`, 1):               "it lacks data.Info.*.node",
			strings.Replace(full, `"note":null`, `"note":{"node":""}`, 1):  "it lacks data.Note.node",
			strings.Replace(full, `,"id":"x"`, ``, 1):                      "it lacks ID",
			full + ` {}`:                       "there is more after the end of it",
			full[:len(full)/2]:                 "the answer is incomplete: unexpected EOF",
			`<html>welcome</html>`:             "jsontext: invalid character '<' at start of value",
			`}`:                                "jsontext: invalid character '}' at start of value",
			full + `<!-- added by a proxy -->`: "jsontext: invalid character '<' at start of value after offset 77",
		},
		"list": {
			`[]`: "", `[{"node":"n"}]`: "",
			`null`: "it has no data", `{}`: "it has an object in place of an array",
			`[{"node":"n"},{}]`: "it lacks *.node", `[null]`: "it lacks *.node", `[{"node":"n"},`: "the answer is incomplete: unexpected EOF",
		},
		"map":    {`{}`: "", `{"a":1}`: "", `null`: "it has no data"},
		"text":   {`""`: "", `"a"`: "", `null`: "it has no data", `{}`: "it has an object in place of a string"},
		"stream": {`[]`: "", `[1,2]`: "", ``: "it has no data", `null`: "it has no data", `{}`: "it has no data", `[1,`: "the answer is incomplete: unexpected EOF", `[1] 2`: "there is more after the end of it"},
	} {
		for body, want := range bodies {
			t.Run(kind+" "+body, func(t *testing.T) {
				err := Decode(strings.NewReader(body), into[kind]())
				if want == "" {
					require.NoError(t, err)
					return
				}
				require.EqualError(t, err, want)
				assert.NotEqual(t, errors.Is(err, ErrCut), Foreign(err))
			})
		}
	}
}

func TestNothingOfTheAnswerIsInAnError(t *testing.T) {
	for _, body := range []string{
		`{"data":{"keys":["a"],"count":"hvs.secret"}}`, `{"data":{"keys":[1234567]}}`, `{"data":{"keys":["hvs.secret" "b"]}}`,
		`{"data":{"keys":[],"info":{"hvs.secret":{"node":"n" 1234567}}}}`,
	} {
		err := Decode(strings.NewReader(body), new(nodes))
		require.Error(t, err)
		assert.True(t, Foreign(err))
		assert.NotContains(t, err.Error(), "secret")
		assert.NotContains(t, err.Error(), "1234567")
	}
}

func TestAValueThatDoesNotFit(t *testing.T) {
	type values struct {
		ID     string `answer:"required"`
		Number uint8
		Time   time.Time
		Bytes  []byte
		Names  map[string]int
	}
	for body, want := range map[string]string{
		`{"Number":1.5}`:     "it has a number that does not fit",
		`{"Number":300}`:     "it has a number that does not fit",
		`{"Number":"1"}`:     "it has a string in place of a number",
		`{"Time":"hvs.x"}`:   "it has a string in place of a time",
		`{"Bytes":"%"}`:      "it has a string in place of base64",
		`{"Names":{"a":[]}}`: "it has an array in place of a number",
		`{"Names":true}`:     "it has a bool in place of an object",
		`{"ID":null}`:        "it lacks ID",
		`{"I_D":"x"}`:        "it lacks ID",
		`{"I-D":"x"}`:        "it lacks ID",
	} {
		err := Decode(strings.NewReader(body), new(values))
		require.EqualError(t, err, want, body)
		assert.True(t, Foreign(err), body)
	}
}

func TestOfATypeSomethingIsRequired(t *testing.T) {
	require.EqualError(t, Decode(strings.NewReader(`{}`), new(struct{ A, B int })),
		"nothing is required of a *struct { A int; B int }, so anything would be one")
}

// What breaks after the end of the JSON shows only to who reads on.
func TestABodyIsReadToItsEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, full)
	}))
	defer server.Close()
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	require.ErrorIs(t, Decode(response.Body, new(nodes)), ErrCut)

	broken := errors.New("broken")
	err = Decode(io.MultiReader(strings.NewReader(full), iotest.ErrReader(broken)), new(nodes))
	require.ErrorIs(t, err, broken)
	assert.False(t, Foreign(err))
	require.ErrorIs(t, Decode(iotest.ErrReader(broken), new(nodes)), broken)
}

// Whatever is decoded without an error has what is required, as a decoder without
// checks reads it.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{full, `{}`, `null`, `{"data":{"keys":["a"],"count":1,"info":{"a":{"node":"n"},"b":null}},"ID":"x"}`, full + full, strings.Replace(full, `"id"`, `"i_d"`, 1)} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var decoded nodes
		if Decode(strings.NewReader(string(body)), &decoded) != nil {
			return
		}
		var plain nodes
		require.NoError(t, json.Unmarshal(body, &plain))
		require.Equal(t, plain, decoded)
		require.NotNil(t, plain.Data.Keys)
		require.NotNil(t, plain.Data.Count)
		require.NotEmpty(t, plain.Data.Info)
		require.NotEmpty(t, plain.ID)
		for _, n := range plain.Data.Info {
			require.NotEmpty(t, n.Name)
		}
		if note := plain.Data.Note; note != nil {
			require.NotEmpty(t, note.Name)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	list := "[" + strings.Repeat(`{"node":"some-name","tags":["a","b"],"more":"`+strings.Repeat("x", 300)+`"},`, 10_000) + `{"node":"last"}]`
	for b.Loop() {
		if err := Decode(strings.NewReader(list), new([]node)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWithoutChecks(b *testing.B) {
	list := "[" + strings.Repeat(`{"node":"some-name","tags":["a","b"],"more":"`+strings.Repeat("x", 300)+`"},`, 10_000) + `{"node":"last"}]`
	for b.Loop() {
		if err := json.NewDecoder(strings.NewReader(list)).Decode(new([]node)); err != nil {
			b.Fatal(err)
		}
	}
}
