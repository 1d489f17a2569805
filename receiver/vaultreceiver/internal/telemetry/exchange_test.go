// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"bytes"
	"cmp"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
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
		for _, e := range []*audit.Entry{exchange.Request, exchange.Response} {
			if e == nil {
				continue
			}
			at, path, data := pcommon.NewTimestampFromTime(e.Time), x.Redact(e.Path), cmp.Or(e.Data, &audit.Data{})
			switch e.Kind {
			case audit.Request:
				one.RecordVaultAuditRequestEvent(ctx, at, e.ID, e.Operation, path, e.Namespace, e.Mount.Path, e.Mount.Type,
					e.RemoteAddress, e.Auth.DisplayName, e.Auth.EntityID, string(e.Failure), texts(data.Request))
			case audit.Response:
				one.RecordVaultAuditResponseEvent(ctx, at, e.ID, e.Operation, path, e.Namespace, e.Mount.Path, e.Mount.Type,
					e.RemoteAddress, e.Auth.DisplayName, e.Auth.EntityID, string(e.Failure), texts(data.Request), texts(data.Response))
			}
			eventlog.Each(one.Emit(), all.AppendLogRecord)
		}
	}
	return eventlog.Complete(all.Emit(metadata.WithLogsResource(x.Resource())), observed, func(event plog.LogRecord) (plog.SeverityNumber, string) {
		event.Attributes().RemoveIf(func(_ string, value pcommon.Value) bool {
			return value.Type() == pcommon.ValueTypeMap && value.Map().Len() == 0
		})
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

// texts are fields of which all are texts.
func texts(fields []audit.Field) map[string]any {
	all := map[string]any{}
	for _, f := range fields {
		all[f.Name] = f.Text
	}
	return all
}

func TestTheSpanOfAnExchangeTellsOfItsLease(t *testing.T) {
	x := &Exchanges{
		Story: NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type)), Trust: TrustParent,
		Redact: func(path string) string { return strings.ReplaceAll(path, "secret", "*") }, Resource: resource,
	}
	renewal := &audit.Entry{Kind: audit.Response, ID: "a", Operation: "update", Path: "sys/leases/renew", LeasePrefix: "database/creds/secret", LeaseHash: "9f8", Mount: audit.Mount{Path: "sys/"}}
	span := x.Render(time.Unix(1_800_000_000, 0), []audit.Exchange{{Response: renewal}}).Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	assert.Equal(t, "update sys/", span.Name())
	assert.Subset(t, span.Attributes().AsRaw(), map[string]any{"vault.lease.prefix": "database/creds/*", "vault.lease.hash": "9f8"})

	nowhere := &audit.Entry{Kind: audit.Response, ID: "b", Operation: "read", Path: "nothing"}
	span = x.Render(time.Unix(1_800_000_000, 0), []audit.Exchange{{Response: nowhere}}).Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	assert.Equal(t, "read", span.Name())
	assert.NotContains(t, span.Attributes().AsRaw(), "vault.lease.prefix")
}

func TestEventsTellOfDataWhatIsNamed(t *testing.T) {
	content, err := os.ReadFile("../audit/testdata/vault_1_19_5.jsonl")
	require.NoError(t, err)
	reader := audit.Reader{Data: []string{"common_name", "serial_number", "expiration", "ca_chain", "key"}}
	pairing := audit.NewPairing(100, time.Hour)
	var all []audit.Exchange
	for line := range bytes.Lines(content) {
		e, err := reader.Read(line)
		require.NoError(t, err)
		all = append(all, pairing.Take(e.Time, e)...)
	}
	all = append(all, audit.Exchange{Response: &audit.Entry{Kind: audit.Response, ID: "types", Data: &audit.Data{Response: []audit.Field{
		{Name: "text", Type: audit.Text, Text: "7"},
		{Name: "empty", Type: audit.Text},
		{Name: "yes", Type: audit.Boolean, Text: "true"},
		{Name: "no", Type: audit.Boolean, Text: "false"},
		{Name: "whole", Type: audit.Number, Text: "-9223372036854775808"},
		{Name: "more", Type: audit.Number, Text: "9223372036854775808"},
		{Name: "part", Type: audit.Number, Text: "0.5"},
	}}}})
	x := &Exchanges{
		Story: NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type)), Trust: TrustParent,
		Redact: func(path string) string { return path }, Resource: resource,
	}
	told := x.Render(time.Unix(1_800_000_000, 0), all)
	data := map[string][]any{}
	eventlog.Each(told.Logs, func(event plog.LogRecord) {
		attrs := event.Attributes().AsRaw()
		for _, name := range []string{"vault.request.data", "vault.response.data"} {
			if of, ok := attrs[name]; ok {
				key := strings.TrimPrefix(event.EventName(), "vault.audit.") + " of " + attrs["vault.request.id"].(string) + ": " + name
				data[key] = append(data[key], of)
			}
		}
	})
	const issue = " of 9ef46c93-87fb-f7ec-e051-857523a3ea41: "
	asked := []any{map[string]any{"common_name": "hmac-sha256:70573d03194d26ae68c9f5b401cabb4e34c97d0f49451e5810889798dea5dcf3"}}
	assert.Equal(t, asked, data["request"+issue+"vault.request.data"])
	assert.NotContains(t, data, "request"+issue+"vault.response.data")
	assert.Equal(t, asked, data["response"+issue+"vault.request.data"])
	assert.Equal(t, []any{map[string]any{
		"serial_number": "hmac-sha256:96b0d2b86211e5409c957039a88109b804196a06c6ac0d2712d4ce06addd3c93", "expiration": int64(1795407788),
	}}, data["response"+issue+"vault.response.data"])
	assert.Equal(t, []any{map[string]any{
		"text": "7", "empty": "", "yes": true, "no": false, "whole": int64(math.MinInt64), "more": float64(1 << 63), "part": 0.5,
	}}, data["response of types: vault.response.data"])
	traces, err := (&ptrace.JSONMarshaler{}).MarshalTraces(told.Traces)
	require.NoError(t, err)
	assert.NotContains(t, string(traces), "common_name")
}

func TestEventsOfEntriesAreThoseDeclared(t *testing.T) {
	exchanges := exchangesOfARealVault(t)
	namespaced := exchanges[0]
	namespaced.Response.Namespace, namespaced.Response.Auth.EntityID = "team/", "9f8"
	of := func(name, value string) []audit.Field {
		return []audit.Field{{Name: name, Type: audit.Text, Text: value}}
	}
	named := exchanges[0]
	named.Request.Data = &audit.Data{Request: of("common_name", "app")}
	named.Response.Data = &audit.Data{Request: of("common_name", "app"), Response: of("serial_number", "hmac-sha256:9f8")}
	exchanges = append(exchanges, namespaced, named)
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
