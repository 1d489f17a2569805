// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package catalog observes the services and nodes of the catalog, and its size.
package catalog

import (
	"context"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// The parts of the API that are watched.
const (
	EndpointServices = "catalog/services"
	EndpointNodes    = "catalog/nodes"
)

// Services returns what observes the services; changes returns the Changes of a datacenter.
func Services(cfg collect.SwitchConfig, changes func(*collect.Env) *Changes) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		limit := collect.Limit{Object: metadata.AttributeObjectService, Max: e.Filters.MaxServices, Setting: "services::limit"}
		read := observed(changes(e), EndpointServices, ReadServices(e.Filters), func(map[string]Service) {})
		return services{collect.NewObjects(e, EndpointServices, limit, read, RenderService)}
	}}
}

// Nodes returns what observes the nodes; changes returns the Changes of a datacenter.
func Nodes(cfg collect.SwitchConfig, changes func(*collect.Env) *Changes) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		limit := collect.Limit{Object: metadata.AttributeObjectNode, Max: e.Filters.MaxNodes, Setting: "nodes::limit"}
		read := observed(changes(e), EndpointNodes, ReadNodes(e.Filters), changes(e).setNames)
		return nodes{collect.NewObjects(e, EndpointNodes, limit, read, RenderNode)}
	}}
}

type services struct{ *collect.Objects[Service] }

// Record implements collect.Collector: the sizes have the metrics.
func (s services) Record(context.Context, collect.Metrics) {}

type nodes struct{ *collect.Objects[Node] }

// Record implements collect.Collector: the sizes have the metrics.
func (n nodes) Record(context.Context, collect.Metrics) {}

// ReadServices returns what reads the names of the services.
func ReadServices(filters collect.Filters) collect.Read[string, Service] {
	return func(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Service], error) {
		tags, meta, err := consulapi.GetIndexed[map[string]tagList](ctx, c, EndpointServices, q)
		if err != nil {
			return collect.Result[string, Service]{Meta: meta}, err
		}
		services := make(map[string]Service, len(tags))
		for name := range tags {
			if filters.Services.Match(name) {
				services[name] = Service{}
			}
		}
		return collect.Result[string, Service]{Meta: meta, Objects: services, Read: len(tags)}, nil
	}
}

// tagList is a list of tags, which are not needed.
type tagList struct{}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (tagList) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	if kind := from.PeekKind(); kind != '[' {
		return &json.SemanticError{JSONKind: kind, GoType: reflect.TypeFor[[]string]()}
	}
	return from.SkipValue()
}

// ReadNodes returns what reads the nodes.
func ReadNodes(filters collect.Filters) collect.Read[string, Node] {
	return func(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Node], error) {
		entries, meta, err := consulapi.GetIndexed[[]struct {
			Node    string `answer:"required"`
			Address string
		}](ctx, c, EndpointNodes, q)
		if err != nil {
			return collect.Result[string, Node]{Meta: meta}, err
		}
		nodes := make(map[string]Node, len(entries))
		for _, e := range entries {
			if filters.Nodes.Match(e.Node) {
				nodes[e.Node] = Node{Address: e.Address}
			}
		}
		return collect.Result[string, Node]{Meta: meta, Objects: nodes, Read: len(entries)}, nil
	}
}
