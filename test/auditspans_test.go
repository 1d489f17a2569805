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

// within says whether both are.
func (x times) within(from, until time.Time) bool {
	return !x.request.Before(from) && !x.response.After(until)
}

// requests are those of which the file of Vault has both entries, by their ID.
type requests map[string]times

// without returns those that are not among the IDs of spans.
func (r requests) without(ids map[string]string) requests {
	r = maps.Clone(r)
	maps.DeleteFunc(r, func(id string, _ times) bool { return ids[id] != "" })
	return r
}

// requireSpans requires that each is a span.
func requireSpans(t *testing.T, written requests, ids map[string]string) {
	t.Helper()
	lost := len(written.without(ids)) // A list of them would be long.
	require.Zero(t, lost, "requests that are no span, of %d", len(written))
}

// after returns those that came after that time.
func (r requests) after(at time.Time) requests {
	r = maps.Clone(r)
	maps.DeleteFunc(r, func(_ string, x times) bool { return !x.request.After(at) })
	return r
}

// wholeRequests reads the file of Vault.
func wholeRequests(t *testing.T, path string) requests {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	written := requests{}
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
	maps.DeleteFunc(written, func(_ string, x times) bool { return x.request.IsZero() || x.response.IsZero() })
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
