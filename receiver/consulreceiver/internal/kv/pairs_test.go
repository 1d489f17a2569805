// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Values can be large. A key is taken before the next one has come.
func TestKeysAreTakenOneByOne(t *testing.T) {
	body, server := io.Pipe()
	taken := make(chan string)
	done := make(chan error)
	go func() {
		done <- jsonanswer.Decode(body, pairs(func(e entry) { taken <- e.Key }))
	}()
	for i, before := range []string{"[", ",", ","} {
		name := fmt.Sprint("config/", i)
		_, err := fmt.Fprintf(server, `%s{"Key":%q,"CreateIndex":1,"ModifyIndex":2,"Value":"YQ=="}`, before, name)
		require.NoError(t, err)
		assert.Equal(t, name, <-taken)
	}
	_, err := io.WriteString(server, "]")
	require.NoError(t, err)
	require.NoError(t, server.Close())
	require.NoError(t, <-done)
}

func TestAKeyThatIsNone(t *testing.T) {
	for body, want := range map[string]string{
		`[{"Key":"a","CreateIndex":1,"ModifyIndex":1}]`: "",
		`[{"CreateIndex":1,"ModifyIndex":1}]`:           "it lacks *.Key",
		`[{"Key":"a","ModifyIndex":1}]`:                 "it lacks *.CreateIndex",
		`[{"Key":"a","CreateIndex":1}]`:                 "it lacks *.ModifyIndex",
		`[null]`:                                        "it lacks *.Key",
		`[]`:                                            "it has no data",
		`{}`:                                            "it has no data",
		`null`:                                          "it has no data",
		`[{"Key":"a","CreateIndex":1,"ModifyIndex":1}`:  "the answer is incomplete: unexpected EOF",
		`[{"Key":"a","CreateIndex":1,"ModifyIndex":1},`: "the answer is incomplete: unexpected EOF",
		`[`: "the answer is incomplete: unexpected EOF",
		`[{"Key":"a","CreateIndex":1,"ModifyIndex":1}]]`: "jsontext: invalid character ']' at start of value after offset 45",
	} {
		err := jsonanswer.Decode(strings.NewReader(body), pairs(func(entry) {}))
		if want == "" {
			require.NoError(t, err, body)
			continue
		}
		require.EqualError(t, err, want, body)
	}
}

func TestTheSizeOfTheAnswerIsKnown(t *testing.T) {
	body := `[{"Key":"a","CreateIndex":1,"ModifyIndex":1,"Value":"YQ=="}]`
	c := reading(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "1")
		_, _ = io.WriteString(w, body)
	})
	result, err := Read(t.Context(), c.API, consulapi.Query{}, "a", pattern.Matcher{}, false)
	require.NoError(t, err)
	assert.EqualValues(t, len(body), result.Bytes)
}

func BenchmarkLargeValues(b *testing.B) {
	value := base64.StdEncoding.EncodeToString(make([]byte, 512<<10))
	one := fmt.Sprintf(`{"Key":"a","CreateIndex":1,"ModifyIndex":1,"Value":%q}`, value)
	body := "[" + strings.Repeat(one+",", 9) + one + "]"
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := jsonanswer.Decode(strings.NewReader(body), pairs(func(entry) {})); err != nil {
			b.Fatal(err)
		}
	}
}
