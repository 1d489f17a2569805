// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
)

type attrs = map[string]any

var (
	server = ptrace.SpanKindServer
	client = ptrace.SpanKindClient
	ours   = ptrace.SpanKindInternal
)

// presetScenarios have for each rule of a preset a span that takes
// 50 ms, and data points that count it: as an SDK or a receiver tells them, and
// as the collector scrapes them.
var presetScenarios = []scenario{
	{
		name: "the preset http", settings: "attach: {presets: [http]}",
		steps: presetSteps(
			[]span{
				{kind: server, attrs: attrs{"http.request.method": "GET", "http.route": "/cart", "http.response.status_code": 200}},
				{kind: client, attrs: attrs{"http.request.method": "GET", "server.address": "till", "server.port": 443, "http.response.status_code": 200}},
				{kind: server, attrs: attrs{"http.method": "PUT", "http.route": "/cart", "http.status_code": 200}},
				{kind: client, attrs: attrs{"http.method": "PUT", "net.peer.name": "till", "http.status_code": 200}},
			},
			durations(1, 0, 0).named("http.server.request.duration", "s").
				with(attrs{"http.request.method": "GET", "http.route": "/cart", "http.response.status_code": 200, "url.scheme": "https"}),
			durations(1, 0, 0).named("http_server_request_duration_seconds", "").of(attrs{}).
				with(attrs{"job": "shop", "http_request_method": "GET", "http_route": "/cart", "http_response_status_code": "200"}),
			durations(1, 0, 0).named("http.client.request.duration", "s").
				with(attrs{"http.request.method": "GET", "server.address": "till", "server.port": 443, "http.response.status_code": 200}),
			durations(0, 0, 1).named("http.server.duration", "ms").with(attrs{"http.method": "PUT", "http.route": "/cart", "http.status_code": 200}),
			durations(0, 0, 1).named("http.client.duration", "ms").with(attrs{"http.method": "PUT", "net.peer.name": "till", "http.status_code": 200}),
			durations(0, 0, 1).named("http_client_duration_milliseconds", "").of(attrs{}).
				with(attrs{"job": "shop", "http_method": "PUT", "net_peer_name": "till", "http_status_code": "200"}),
		),
		want: []int{0, 6},
	},
	{
		name: "the preset rpc", settings: "attach: {presets: [rpc]}",
		steps: presetSteps(
			[]span{
				{kind: server, attrs: attrs{"rpc.system": "grpc", "rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": 0}},
				{kind: client, attrs: attrs{"rpc.system": "grpc", "rpc.service": "shop.Till", "rpc.method": "Pay", "rpc.grpc.status_code": 0}},
				{kind: server, attrs: attrs{"rpc.system.name": "grpc", "rpc.method": "shop.Cart/Drop", "rpc.response.status_code": "OK"}},
			},
			durations(0, 0, 1).named("rpc.server.duration", "ms").with(attrs{"rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": 0}),
			durations(0, 0, 1).named("rpc.client.duration", "ms").with(attrs{"rpc.service": "shop.Till", "rpc.method": "Pay", "rpc.grpc.status_code": 0}),
			durations(1, 0, 0).named("rpc.server.call.duration", "s").with(attrs{"rpc.method": "shop.Cart/Drop", "rpc.response.status_code": "OK"}),
			durations(1, 0, 0).named("grpc_server_handling_seconds", "").of(attrs{}).
				with(attrs{"job": "shop", "grpc_service": "shop.Cart", "grpc_method": "Add", "grpc_type": "unary"}),
			durations(1, 0, 0).named("grpc_client_handling_seconds", "").
				with(attrs{"grpc_service": "shop.Till", "grpc_method": "Pay", "grpc_type": "unary"}),
		),
		want: []int{0, 5},
	},
	{
		name: "the preset spanmetrics", settings: "attach: {presets: [spanmetrics]}",
		steps: presetSteps(
			[]span{{name: "GET /cart", kind: server, failed: true}},
			durations(0, 0, 1).named("traces.span.metrics.duration", "ms").with(spanmetrics),
			sum(1).named("traces.span.metrics.calls", "").with(spanmetrics),
			sum(1).named("traces_span_metrics_calls_total", "").of(attrs{}).
				with(attrs{"service_name": "shop", "span_name": "GET /cart", "span_kind": "SPAN_KIND_SERVER", "status_code": "STATUS_CODE_ERROR"}),
			durations(1, 0, 0).named("traces_spanmetrics_latency", "").of(attrs{}).
				with(attrs{"service": "shop", "span_name": "GET /cart", "span_kind": "SPAN_KIND_SERVER", "status_code": "STATUS_CODE_ERROR"}),
			sum(1).named("traces_spanmetrics_calls_total", "").of(attrs{}).
				with(attrs{"service": "shop", "span_name": "GET /cart", "span_kind": "SPAN_KIND_SERVER", "status_code": "STATUS_CODE_ERROR"}),
			durations(1, 0, 0).named("duration_seconds", ""), // It is of the shop, and who knows what.
			sum(1).named("calls_total", ""),
		),
		want: []int{0, 5},
	},
	{
		name: "the preset envoy", settings: "attach: {presets: [envoy]}",
		steps: presetSteps(
			[]span{
				{kind: client, attrs: attrs{"component": "proxy", "upstream_cluster": "till"}},
				{kind: server, attrs: attrs{"component": "proxy"}},
			},
			durations(0, 0, 1).named("envoy_cluster_upstream_rq_time", "").of(attrs{}).with(attrs{"job": "shop", "envoy_cluster_name": "till"}),
			durations(0, 0, 1).named("cluster.upstream_rq_time", "").with(attrs{"envoy.cluster_name": "till"}),
			durations(0, 0, 1).named("envoy_http_downstream_rq_time", "").of(attrs{}).with(attrs{"job": "shop", "envoy_http_conn_manager_prefix": "ingress"}),
		),
		want: []int{0, 3},
	},
	{
		name: "the preset consul", settings: "attach: {presets: [consul]}",
		steps: presetSteps(
			[]span{{name: "consul.check.outage.start", kind: ours, resource: consul, attrs: attrs{"consul.service.name": "web", "consul.check.status": "critical", "consul.check.id": "c"}}},
			sum(1).named("consul.health.check.transitions", "{transition}").of(consul).with(attrs{"consul.service.name": "web", "consul.check.status": "critical"}),
			sum(1).named("consul.health.check.transitions", "{transition}").of(consul).with(attrs{"consul.service.name": "web", "consul.check.status": "passing"}),
			sum(1).named("consul_health_check_transitions_total", "").of(attrs{"service.name": "consul"}).
				with(attrs{"consul_service_name": "web", "consul_check_status": "critical"}),
		),
		want: []int{0, 2},
	},
	{
		name: "the preset etcd", settings: "attach: {presets: [etcd]}",
		steps: presetSteps(
			[]span{
				{name: "etcd.lease.start", kind: ours, resource: etcd},
				{name: "etcd.lease", kind: ours, resource: etcd, attrs: attrs{"etcd.lease.end.cause": "expired"}},
			},
			sum(1).named("etcd.lease.grants", "{lease}").of(etcd),
			sum(1).named("etcd.lease.ends", "{lease}").of(etcd).with(attrs{"etcd.lease.end.cause": "expired"}),
			sum(1).named("etcd.lease.ends", "{lease}").of(etcd).with(attrs{"etcd.lease.end.cause": "revoked"}),
		),
		want: []int{0, 2},
	},
	{
		name: "the preset vault", settings: "attach: {presets: [vault]}",
		steps: presetSteps(
			[]span{
				{name: "vault.lease.start", kind: ours, resource: vault, attrs: attrs{"vault.mount.path": "database/"}},
				{name: "vault.lease", kind: ours, resource: vault, attrs: attrs{"vault.mount.path": "database/", "vault.lease.end.cause": "revoked"}},
			},
			sum(1).named("vault.lease.created", "{lease}").of(vault).with(attrs{"vault.mount.path": "database/"}),
			sum(1).named("vault.lease.ended", "{lease}").of(vault).with(attrs{"vault.mount.path": "database/", "vault.lease.end.cause": "revoked"}),
			sum(1).named("vault.lease.ended", "{lease}").of(vault).with(attrs{"vault.mount.path": "pki/", "vault.lease.end.cause": "revoked"}),
		),
		want: []int{0, 2},
	},
}

var (
	consul = attrs{"service.name": "consul", "service.instance.id": "127.0.0.1:8500", "consul.datacenter": "dc1"}
	etcd   = attrs{"service.name": "etcd", "etcd.cluster.id": "cdf818194e3a8c32"}
	vault  = attrs{"service.name": "vault", "vault.cluster.id": "4918743f-55df-2a47-44e8-9cf7ea6fe779"}

	spanmetrics = attrs{"service.name": "shop", "span.name": "GET /cart", "span.kind": "SPAN_KIND_SERVER", "status.code": "STATUS_CODE_ERROR"}
)

// presetSteps has the points come twice, and the spans in between: what is
// optional in a rule has to be seen in a metric before spans are kept for it.
func presetSteps(spans []span, points ...point) []step {
	for i := range spans {
		spans[i].n, spans[i].end, spans[i].took = byte(i+1), 4, .05
	}
	return []step{{at: 5, points: points}, {at: 6, spans: spans}, {at: 10, points: points}}
}

func TestPresets(t *testing.T) {
	var presets []string
	for _, s := range presetScenarios {
		t.Run(s.name, func(t *testing.T) {
			w := s.play(t)
			var want, got []string
			for _, preset := range w.cfg.Attach.Presets {
				presets = append(presets, preset)
				for _, r := range rule.Preset(preset) {
					want = append(want, r.Name)
				}
			}
			m, err := w.own.GetMetric("otelcol_exemplar_attached")
			require.NoError(t, err)
			for _, p := range sums(t, m) {
				name, _ := p.Attributes.Value("rule")
				got = append(got, name.AsString())
			}
			assert.ElementsMatch(t, want, got, "each rule has attached something")
		})
	}
	slices.Sort(presets)
	assert.Equal(t, rule.Presets(), presets, "each preset has a scenario")
}

func TestEachGoldenFileIsOfAScenario(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("testdata", "scenarios"))
	require.NoError(t, err)
	var names, files []string
	for _, s := range slices.Concat(scenarios, presetScenarios) {
		names = append(names, s.name)
	}
	for _, folder := range folders {
		files = append(files, folder.Name())
	}
	assert.ElementsMatch(t, names, files)
}
