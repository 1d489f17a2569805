// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// The parts of the API that are read.
const (
	Endpoint         = "health/state/any" // all checks
	endpointState    = "health/state/"    // those with a status
	endpointNode     = "health/node"      // those on a node
	endpointServices = "catalog/services" // names of services
	endpointOnNode   = "catalog/node-services"
	endpointImported = "internal/ui/services"
	endpointService  = "health/service"
)

// maxReason is how many bytes of the reason of a maintenance are reported.
const maxReason = 256

// reader reads checks.
type reader struct {
	filters     collect.Filters
	outputLimit int
	nodeName    func(lower string) string // as the catalog spells it; empty: it is not known
}

// Only what is needed is decoded of a check: its output can be huge.
type checkEntry struct {
	Node, CheckID, Status        string `answer:"required"`
	Name, ServiceID, ServiceName string
	Notes                        string
	CreateIndex, ModifyIndex     uint64
}

type checkEntryWithOutput struct {
	checkEntry
	Output string
}

// Read reads the checks that the filters select, with the first outputLimit bytes
// of their output.
func Read(ctx context.Context, c *consulapi.Client, q consulapi.Query, filters collect.Filters, outputLimit int) (collect.Result[CheckID, Check], error) {
	r := reader{filters: filters, outputLimit: outputLimit, nodeName: func(string) string { return "" }}
	return r.read(ctx, c, Endpoint, q)
}

func (r reader) read(ctx context.Context, c *consulapi.Client, endpoint string, q consulapi.Query) (collect.Result[CheckID, Check], error) {
	if r.outputLimit == 0 {
		return readChecks(ctx, r, c, endpoint, q, func(e checkEntry) (checkEntry, string) { return e, "" })
	}
	return readChecks(ctx, r, c, endpoint, q, func(e checkEntryWithOutput) (checkEntry, string) {
		return e.checkEntry, truncate(e.Output, r.outputLimit)
	})
}

func readChecks[E any](ctx context.Context, r reader, c *consulapi.Client, endpoint string, q consulapi.Query, split func(E) (checkEntry, string)) (collect.Result[CheckID, Check], error) {
	entries, meta, err := consulapi.GetIndexed[[]E](ctx, c, endpoint, q)
	if err != nil {
		return collect.Result[CheckID, Check]{Meta: meta}, err
	}
	checks := make(Checks, len(entries))
	for _, entry := range entries {
		e, output := split(entry)
		id := NewCheckID(e.Node, e.CheckID)
		node := cmp.Or(r.nodeName(id.Node), e.Node)
		if !r.filters.Nodes.Match(node) || e.ServiceName != "" && !r.filters.Services.Match(e.ServiceName) {
			continue
		}
		check := Check{
			Node: node, ID: e.CheckID, Name: e.Name, Service: e.ServiceName, ServiceID: e.ServiceID,
			Status: Status(e.Status), Created: e.CreateIndex, Index: e.ModifyIndex, Output: output,
		}
		if isMaintenance(id) {
			check.Reason = truncate(e.Notes, maxReason)
		}
		checks[id] = check
	}
	return collect.Result[CheckID, Check]{Meta: meta, Objects: checks, Read: len(entries)}, nil
}

// truncate does not cut characters in two.
func truncate(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// onNode reads some checks of one node. A node that is gone has none.
func (r reader) onNode(ctx context.Context, c *consulapi.Client, ids []CheckID, of Checks, q consulapi.Query) (collect.Result[CheckID, Check], error) {
	const most = 32 // terms in an expression
	q.Object = ids[0].Node
	if len(ids) <= most {
		terms := make([]string, len(ids))
		for i, id := range ids {
			terms[i] = "CheckID == " + strconv.Quote(cmp.Or(of[id].ID, id.Check))
		}
		q.Filter = strings.Join(terms, " or ")
	}
	return r.read(ctx, c, endpointNode, q)
}

// sidecars reads the names of the services that are sidecar proxies, in lower case.
func sidecars(ctx context.Context, c *consulapi.Client) (map[string]bool, error) {
	services, _, err := consulapi.GetIndexed[map[string]any](ctx, c, endpointServices, consulapi.Query{Filter: `ServiceKind == "connect-proxy"`})
	names := make(map[string]bool, len(services))
	for name := range services {
		names[strings.ToLower(name)] = true
	}
	return names, err
}

// instancesOn reads the instances on a node.
func instancesOn(ctx context.Context, c *consulapi.Client, filters collect.Filters, node string) ([]Instance, error) {
	type service struct {
		ID, Service string `answer:"required"`
	}
	reply, _, err := consulapi.GetIndexed[struct {
		Services consulapi.Nullable[service] `answer:"required"` // null: there is no such node
	}](ctx, c, endpointOnNode, consulapi.Query{Object: node})
	var instances []Instance
	for _, s := range reply.Services {
		if filters.Services.Match(s.Service) {
			instances = append(instances, Instance{Service: s.Service, ID: s.ID})
		}
	}
	return instances, err
}
