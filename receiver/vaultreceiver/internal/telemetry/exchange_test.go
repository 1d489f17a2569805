// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// exchangesOfARealVault are those that a real Vault 1.19.5 wrote to a file device.
func exchangesOfARealVault(t *testing.T) (all []audit.Exchange) {
	t.Helper()
	content, err := os.ReadFile("../audit/testdata/vault_1_19_5.jsonl")
	require.NoError(t, err)
	var reader audit.Reader
	pairing := audit.NewPairing(100, time.Hour)
	for line := range bytes.Lines(content) {
		e, err := reader.Read(line)
		require.NoError(t, err)
		all = append(all, pairing.Take(e.Time, e)...)
	}
	return append(all, pairing.Drain()...)
}

// declared makes the events with the recorders that mdatagen makes of
// metadata.yaml.
func declared(config metadata.LogsBuilderConfig, x *Exchanges, observed time.Time, exchanges []audit.Exchange) plog.Logs {
	settings := receivertest.NewNopSettings(metadata.Type)
	one, all := metadata.NewLogsBuilder(config, settings), metadata.NewLogsBuilder(config, settings)
	for _, exchange := range exchanges {
		ctx := spanid.Context(x.SpanIDs(exchange))
		for _, e := range []audit.Entry{exchange.Request, exchange.Response} {
			record := func(to func(context.Context, pcommon.Timestamp, string, string, string, string, string, string, string, string, string, string)) {
				to(ctx, pcommon.NewTimestampFromTime(e.Time), e.ID, e.Operation, x.Redact(e.Path), e.Namespace, e.Mount.Path, e.Mount.Type,
					e.RemoteAddress, e.Auth.DisplayName, e.Auth.EntityID, string(e.Failure))
			}
			switch e.Kind {
			case audit.Request:
				record(one.RecordVaultAuditRequestEvent)
			case audit.Response:
				record(one.RecordVaultAuditResponseEvent)
			}
			eventlog.Each(one.Emit(), all.AppendLogRecord)
		}
	}
	return eventlog.Complete(all.Emit(metadata.WithLogsResource(x.Resource())), observed, func(event plog.LogRecord) (plog.SeverityNumber, string) {
		did := event.Attributes().AsRaw()
		line := did["vault.request.operation"].(string) + " " + did["vault.request.path"].(string)
		switch {
		case event.EventName() == "vault.audit.request":
			return plog.SeverityNumberInfo, line + " was requested"
		case did["error.type"] != "":
			return plog.SeverityNumberWarn, line + " was refused: " + did["error.type"].(string)
		default:
			return plog.SeverityNumberInfo, line + " was answered"
		}
	})
}

func TestTheSpanOfAnExchangeTellsOfItsLease(t *testing.T) {
	x := &Exchanges{
		Story: NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type)), Trust: TrustParent,
		Redact: func(path string) string { return strings.ReplaceAll(path, "secret", "*") }, Resource: resource,
	}
	renewal := audit.Entry{Kind: audit.Response, ID: "a", Operation: "update", Path: "sys/leases/renew", Lease: "database/creds/secret/x", Mount: audit.Mount{Path: "sys/"}}
	span := x.Render(time.Unix(1_800_000_000, 0), []audit.Exchange{{Response: renewal}}).Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	assert.Equal(t, "update sys/", span.Name())
	assert.Subset(t, span.Attributes().AsRaw(), map[string]any{"vault.lease.prefix": "database/creds/*", "vault.lease.hash": hashOf(renewal.Lease)})

	nowhere := audit.Entry{Kind: audit.Response, ID: "b", Operation: "read", Path: "nothing"}
	span = x.Render(time.Unix(1_800_000_000, 0), []audit.Exchange{{Response: nowhere}}).Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	assert.Equal(t, "read", span.Name())
	assert.NotContains(t, span.Attributes().AsRaw(), "vault.lease.prefix")
}

func TestEventsOfEntriesAreThoseDeclared(t *testing.T) {
	exchanges := exchangesOfARealVault(t)
	namespaced := exchanges[0]
	namespaced.Response.Namespace, namespaced.Response.Auth.EntityID = "team/", "9f8"
	exchanges = append(exchanges, namespaced)
	for name, set := range map[string]func(*metadata.LogsBuilderConfig){
		"all":               func(*metadata.LogsBuilderConfig) {},
		"none of requests":  func(c *metadata.LogsBuilderConfig) { c.Events.VaultAuditRequest.Enabled = false },
		"none of responses": func(c *metadata.LogsBuilderConfig) { c.Events.VaultAuditResponse.Enabled = false },
		"none": func(c *metadata.LogsBuilderConfig) {
			c.Events.VaultAuditRequest.Enabled, c.Events.VaultAuditResponse.Enabled = false, false
		},
	} {
		t.Run(name, func(t *testing.T) {
			config, observed := metadata.DefaultLogsBuilderConfig(), time.Unix(1_800_000_000, 0)
			set(&config)
			x := &Exchanges{
				Story: NewStory(config, receivertest.NewNopSettings(metadata.Type)), Trust: TrustParent,
				Redact: func(path string) string { return path }, Resource: resource,
			}
			want, err := (&plog.JSONMarshaler{}).MarshalLogs(declared(config, x, observed, exchanges))
			require.NoError(t, err)
			told := x.Render(observed, exchanges)
			got, err := (&plog.JSONMarshaler{}).MarshalLogs(told.Logs)
			require.NoError(t, err)
			assert.JSONEq(t, string(want), string(got))
			assert.Equal(t, len(exchanges), told.Traces.SpanCount())
		})
	}
}
