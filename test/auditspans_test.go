// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// times are those of the two entries of a request.
type times struct{ request, response time.Time }

func (x times) whole() bool { return !x.request.IsZero() && !x.response.IsZero() }

// within says whether both are.
func (x times) within(from, until time.Time) bool {
	return !x.request.Before(from) && !x.response.After(until)
}

// wholeRequests returns the requests of which the file has both entries.
func wholeRequests(t *testing.T, path string) map[string]times {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	written := map[string]times{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Type    string
			Time    time.Time
			Request struct{ ID string }
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &entry))
		x := written[entry.Request.ID]
		if entry.Type == "request" {
			x.request = entry.Time
		} else {
			x.response = entry.Time
		}
		written[entry.Request.ID] = x
	}
	require.NoError(t, lines.Err())
	maps.DeleteFunc(written, func(_ string, x times) bool { return !x.whole() })
	return written
}

// requestSpans returns the ID of the span of each request, how many spans there
// are, and how many are of half an exchange.
func requestSpans(t *testing.T, path string) (ids map[string]string, spans, halves int) {
	t.Helper()
	ids = map[string]string{}
	eachLine(t, path, func(line []byte) error {
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(line)
		if err != nil {
			return err
		}
		for _, rs := range traces.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					request, ok := span.Attributes().Get("vault.request.id")
					if !ok {
						continue
					}
					if _, half := span.Attributes().Get("vault.request.half"); half {
						halves++
					}
					spans++
					if before := ids[request.Str()]; before != "" {
						require.Equal(t, before, span.SpanID().String(), "one request, two spans")
					}
					ids[request.Str()] = span.SpanID().String()
				}
			}
		}
		return nil
	})
	return ids, spans, halves
}
