// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package readback

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
)

// Events is the path of a file that the file exporter writes, one OTLP JSON
// object on a line.
type Events string

// Event is one event record.
type Event struct {
	Service, Name   string
	Time            time.Time
	Severity        string
	TraceID, SpanID string // empty if it belongs to no span
	Attributes      map[string]any
}

// Read returns all complete events of the file, in its order. A file that is
// not there yet holds none.
func (e Events) Read() ([]Event, error) {
	file, err := os.Open(string(e))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer file.Close()
	var events []Event
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, nil // what has no newline is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
		if err != nil {
			return nil, fmt.Errorf("decode events of %s: %w", string(e), err)
		}
		events = append(events, eventsOf(logs)...)
	}
}

func eventsOf(logs plog.Logs) (events []Event) {
	for _, rl := range logs.ResourceLogs().All() {
		service, _ := rl.Resource().Attributes().Get("service.name")
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				events = append(events, Event{
					Service:    service.Str(),
					Name:       record.EventName(),
					Time:       record.Timestamp().AsTime(),
					Severity:   record.SeverityText(),
					TraceID:    record.TraceID().String(),
					SpanID:     record.SpanID().String(),
					Attributes: record.Attributes().AsRaw(),
				})
			}
		}
	}
	return events
}
