// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// dump writes what the sink accepted for a person to read.
func (s *Sink) dump(t *testing.T) {
	t.Helper()
	if *dumpFlag == "" {
		return
	}
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	for _, e := range s.Events() {
		lines = append(lines, line{e.At, fmt.Sprintf("event %s%s span=%s arrived=%s", e.Name, e.Attributes, e.SpanID, e.Arrived.Format(time.StampMilli))})
	}
	for _, span := range s.Spans() {
		lines = append(lines, line{span.Start, fmt.Sprintf("span %s to %s%s id=%s parent=%s trace=%s arrived=%s", span.Name, span.End.Format(time.StampMilli), span.Attributes,
			span.SpanID, span.ParentID, span.TraceID, span.Arrived.Format(time.StampMilli))})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var text strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&text, "%s %s\n", l.at.Local().Format(time.StampMilli), l.text)
	}
	file := filepath.Join(*dumpFlag, fmt.Sprintf("%s-%d.txt", t.Name(), s.seed))
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Errorf("dump: %v", err)
	}
}
