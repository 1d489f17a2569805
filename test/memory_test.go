// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// The limit is what the variable says, whatever memory the machine has. One that
// is below what the collector needs for itself has it refuse all data.
func TestTheMemoryLimitIsInEffect(t *testing.T) {
	traces := ptrace.NewTraces()
	traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("work")
	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	require.NoError(t, err)
	for limit, want := range map[string]struct {
		env            []string
		status         int
		answer, logged string
	}{
		"default": {nil, http.StatusOK, "", `"limit_mib": 512, "spike_limit_mib": 102`},
		"low":     {[]string{"MEMORY_LIMIT_MIB=5"}, http.StatusServiceUnavailable, "data refused due to high memory usage", `"limit_mib": 5, "spike_limit_mib": 1`},
	} {
		t.Run(limit, func(t *testing.T) {
			a := startAlone(t, want.env...)
			assert.Contains(t, a.collector.LogTail(1000), want.logged)
			var status int
			var answer string
			require.Eventually(t, func() bool { // It is checked once a second.
				response, err := http.Post("http://"+a.otlpHTTP+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
				if err != nil {
					return false
				}
				defer response.Body.Close()
				content, err := io.ReadAll(response.Body)
				status, answer = response.StatusCode, string(content)
				return err == nil && status == want.status
			}, soon, 50*time.Millisecond)
			assert.Contains(t, answer, want.answer)
			refused := 0
			for line := range strings.Lines(read("http://" + a.telemetry + "/metrics")) {
				if strings.HasPrefix(line, "otelcol_processor_memory_limiter_refused_spans{") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
					refused++
				}
			}
			assert.Equal(t, want.status != http.StatusOK, refused > 0, "its own metrics say so")
		})
	}
}
