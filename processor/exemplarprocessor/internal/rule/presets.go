// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"maps"
	"slices"
)

// Presets returns the names of the presets.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// Preset returns the rules of a preset; none when there is no such preset.
func Preset(name string) []Config { return presets[name] }

// presets are rules for what is instrumented as others are. A metric that the
// collector scraped has the words of Prometheus, which are known to be the same.
var presets = map[string][]Config{
	// https://opentelemetry.io/docs/specs/semconv/http/http-metrics/, and before
	// version 1.23 of it.
	"http": {
		{
			Name: "http.server", Metrics: []string{`http[._]server[._]request[._]duration`}, Spans: SpansConfig{Kinds: []string{"server"}},
			Join: joined(service, instance, same("http.request.method"), maybe("http.route"), maybe("http.response.status_code")),
		},
		{
			Name: "http.server.old", Metrics: []string{`http[._]server[._]duration`}, Spans: SpansConfig{Kinds: []string{"server"}},
			Join: joined(service, instance, same("http.method"), maybe("http.route"), maybe("http.status_code")),
		},
		{
			Name: "http.client", Metrics: []string{`http[._]client[._]request[._]duration`}, Spans: SpansConfig{Kinds: []string{"client"}},
			Join: joined(service, instance, same("http.request.method"), maybe("server.address"), maybe("server.port"), maybe("http.response.status_code")),
		},
		{
			Name: "http.client.old", Metrics: []string{`http[._]client[._]duration`}, Spans: SpansConfig{Kinds: []string{"client"}},
			Join: joined(service, instance, same("http.method"), maybe("net.peer.name"), maybe("http.status_code")),
		},
	},
	// https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/, and
	// go-grpc-prometheus, which etcd has too.
	"rpc": {
		{
			Name: "rpc.server", Metrics: []string{`rpc[._]server[._](call[._])?duration`}, Spans: SpansConfig{Kinds: []string{"server"}},
			Join: joined(service, instance, same("rpc.method"), maybe("rpc.service"), maybe("rpc.grpc.status_code"), maybe("rpc.response.status_code")),
		},
		{
			Name: "rpc.client", Metrics: []string{`rpc[._]client[._](call[._])?duration`}, Spans: SpansConfig{Kinds: []string{"client"}},
			Join: joined(service, instance, same("rpc.method"), maybe("rpc.service"), maybe("rpc.grpc.status_code"), maybe("rpc.response.status_code")),
		},
		{
			Name: "grpc.server", Metrics: []string{`grpc_server_handling`}, Spans: SpansConfig{Kinds: []string{"server"}},
			Join: joined(service, instance, JoinConfig{Metric: "grpc_service", Span: "rpc.service"}, JoinConfig{Metric: "grpc_method", Span: "rpc.method"}),
		},
		{
			Name: "grpc.client", Metrics: []string{`grpc_client_handling`}, Spans: SpansConfig{Kinds: []string{"client"}},
			Join: joined(service, instance, JoinConfig{Metric: "grpc_service", Span: "rpc.service"}, JoinConfig{Metric: "grpc_method", Span: "rpc.method"}),
		},
	},
	// The connector, and Tempo's metrics-generator. Without a namespace the
	// connector's names, duration and calls, could be of anything.
	"spanmetrics": {{
		Name: "spanmetrics", Metrics: []string{`traces[._]span[._]metrics[._](duration|calls)`, `traces_spanmetrics_(latency|calls)`},
		Join: joined(service, instance, maybe("span.name"), maybe("span.kind"), maybe("status.code")),
	}},
	// https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats;
	// spans of upstream requests need spawn_upstream_span.
	"envoy": {
		{
			Name: "envoy.upstream", Metrics: []string{`(envoy[._])?cluster[._]upstream_rq_time`}, Unit: "ms",
			Spans: SpansConfig{Kinds: []string{"client"}, Attributes: map[string]string{"component": "proxy"}},
			Join:  joined(service, JoinConfig{Metric: "envoy.cluster_name", Span: "upstream_cluster"}),
		},
		{
			Name: "envoy.downstream", Metrics: []string{`(envoy[._])?http[._]downstream_rq_time`}, Unit: "ms",
			Spans: SpansConfig{Kinds: []string{"server"}, Attributes: map[string]string{"component": "proxy"}},
			Join:  joined(service),
		},
	},
	// The receivers of this distribution. Their histograms have exemplars of their
	// own, so these are for counters.
	"consul": {{
		Name: "consul.transitions", Metrics: []string{`consul[._]health[._]check[._]transitions`}, Spans: SpansConfig{Names: []string{`consul\.check\.outage\.start`}},
		Join: joined(service, maybe("consul.datacenter"), same("consul.service.name"), same("consul.check.status")),
	}},
	"etcd": {
		{
			Name: "etcd.lease.grants", Metrics: []string{`etcd[._]lease[._]grants`}, Spans: SpansConfig{Names: []string{`etcd\.lease\.start`}},
			Join: joined(service, maybe("etcd.cluster.id")),
		},
		{
			Name: "etcd.lease.ends", Metrics: []string{`etcd[._]lease[._]ends`}, Spans: SpansConfig{Names: []string{`etcd\.lease`}},
			Join: joined(service, maybe("etcd.cluster.id"), same("etcd.lease.end.cause")),
		},
	},
	"vault": {
		{
			Name: "vault.lease.created", Metrics: []string{`vault[._]lease[._]created`}, Spans: SpansConfig{Names: []string{`vault\.lease\.start`}},
			Join: joined(service, maybe("vault.cluster.id"), same("vault.mount.path")),
		},
		{
			Name: "vault.lease.ended", Metrics: []string{`vault[._]lease[._]ended`}, Spans: SpansConfig{Names: []string{`vault\.lease`}},
			Join: joined(service, maybe("vault.cluster.id"), same("vault.mount.path"), same("vault.lease.end.cause")),
		},
	},
}

var (
	service  = same(serviceName)
	instance = maybe(serviceInstanceID)
)

func same(name string) JoinConfig { return JoinConfig{Metric: name} }

func maybe(name string) JoinConfig { return JoinConfig{Metric: name, Optional: true} }

func joined(joins ...JoinConfig) []JoinConfig { return joins }
