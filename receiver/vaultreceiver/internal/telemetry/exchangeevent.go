// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// entryEvent is an event that is told of entries of one kind.
type entryEvent struct {
	name    string
	enabled bool
}

// entryEvents returns the events by the kind of the entry.
func entryEvents(config metadata.EventsConfig) map[audit.Kind]entryEvent {
	return map[audit.Kind]entryEvent{
		audit.Request:  {"vault.audit.request", config.VaultAuditRequest.Enabled},
		audit.Response: {"vault.audit.response", config.VaultAuditResponse.Enabled},
	}
}

// mostAttributes is how many attributes the event of an entry has at most, but for
// those of data.
const mostAttributes = 10

// fillEntry fills a record as mdatagen's recorders do, and eventlog.Complete
// after them, which TestEventsOfEntriesAreThoseDeclared compares. Those make room
// for one attribute after the other, and for those that are empty, which was a
// third of the processor time of an exchange.
func (x *Exchanges) fillEntry(record plog.LogRecord, name string, observed pcommon.Timestamp, e *audit.Entry) {
	path := x.Redact(e.Path)
	record.SetEventName(name)
	record.SetTimestamp(pcommon.NewTimestampFromTime(e.Time))
	record.SetObservedTimestamp(observed)
	severity, line := describeEntry(e, path)
	record.SetSeverityNumber(severity)
	record.SetSeverityText(severity.String())
	record.Body().SetStr(line)

	attrs := record.Attributes()
	attrs.EnsureCapacity(mostAttributes)
	putKnown(attrs, "vault.request.id", e.ID)
	putKnown(attrs, "vault.request.operation", e.Operation)
	putKnown(attrs, "vault.request.path", path)
	putKnown(attrs, "vault.namespace", e.Namespace)
	putKnown(attrs, "vault.mount.path", e.Mount.Path)
	putKnown(attrs, "vault.mount.type", e.Mount.Type)
	putKnown(attrs, "client.address", e.RemoteAddress)
	putKnown(attrs, "vault.auth.display_name", e.Auth.DisplayName)
	putKnown(attrs, "vault.entity.id", e.Auth.EntityID)
	putKnown(attrs, "error.type", string(e.Failure))
	if e.Data != nil {
		putFields(attrs, "vault.request.data", e.Data.Request)
		putFields(attrs, "vault.response.data", e.Data.Response)
	}
}

// putFields puts what is named of data, if anything.
func putFields(attrs pcommon.Map, name string, fields []audit.Field) {
	if len(fields) == 0 {
		return
	}
	all := attrs.PutEmptyMap(name)
	all.EnsureCapacity(len(fields))
	for _, f := range fields {
		switch f.Type {
		case audit.Text:
			all.PutStr(f.Name, f.Text)
		case audit.Boolean:
			all.PutBool(f.Name, f.Text == "true")
		case audit.Number:
			if whole, err := strconv.ParseInt(f.Text, 10, 64); err == nil {
				all.PutInt(f.Name, whole)
			} else if number, err := strconv.ParseFloat(f.Text, 64); err == nil {
				all.PutDouble(f.Name, number)
			}
		}
	}
}

// describeEntry gives an event its severity, and a line for people.
func describeEntry(e *audit.Entry, path string) (plog.SeverityNumber, string) {
	switch {
	case e.Kind == audit.Request:
		return plog.SeverityNumberInfo, e.Operation + " " + path + " was requested"
	case e.Failure != audit.None:
		return plog.SeverityNumberWarn, e.Operation + " " + path + " was refused: " + string(e.Failure)
	default:
		return plog.SeverityNumberInfo, e.Operation + " " + path + " was answered"
	}
}
