// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// Tree are the spans that each order's trace has, by service and name, below their
// parents. There are more: the rest of Temporal's own, and second ones of the same name.
// Those of the edge have other names with Envoy than with the stand-in.
const Tree = `
edge: *
  orders: POST /orders
    orders: StartWorkflow:Order
      orders: temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution
        io.temporal.frontend: temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution
      worker: RunWorkflow:Order
        worker: StartActivity:ValidateUser
          worker: RunActivity:ValidateUser
            worker: GET /v1/health/service/{name}
            worker: GET /users/{id}
              users: GET /users/{id}
        worker: StartActivity:ReserveInventory
          worker: RunActivity:ReserveInventory
            worker: POST /reservations
              stock: POST /reservations
                stock: lock stock
                  stock: wait for lock
                    stock: etcdserverpb.KV/Txn
                  stock: hold lock
                    stock: etcdserverpb.KV/Txn
        worker: StartActivity:CreateOrder
          worker: RunActivity:CreateOrder
            worker: PUT /v1/order-transit/encrypt/cards
              vault: update order-transit/
            worker: etcdserverpb.KV/Put
        worker: StartActivity:ChargeCard
          worker: RunActivity:ChargeCard
            worker: GET /v1/order-secrets/data/payment
              vault: read order-secrets/
`

// node is a span of a trace that is expected.
type node struct {
	service, name string // the name * is any
	parent        *node  // nil for the root
}

func (n *node) String() string { return n.service + ": " + n.name }

func (n *node) is(s readback.Span) bool {
	return s.Service == n.service && (n.name == "*" || s.Name == n.name)
}

// parse reads a tree: a node in a line, its parts below it, two spaces further in.
func parse(tree string) (nodes []*node) {
	var path []*node
	for line := range strings.Lines(strings.TrimSpace(tree)) {
		depth := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		service, name, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n := &node{service: service, name: name}
		if depth > 0 {
			n.parent = path[depth-1]
		}
		path = append(path[:depth], n)
		nodes = append(nodes, n)
	}
	return nodes
}

// whole checks that the spans are one trace: one root, and the parent of every other
// span is there.
func whole(spans []readback.Span) error {
	ids := map[string]bool{}
	for _, s := range spans {
		ids[s.SpanID] = true
	}
	var roots, orphans []string
	for _, s := range spans {
		switch {
		case s.ParentSpanID == "":
			roots = append(roots, s.Service+": "+s.Name)
		case !ids[s.ParentSpanID]:
			orphans = append(orphans, s.Service+": "+s.Name)
		}
	}
	if len(roots) != 1 || len(orphans) > 0 {
		return fmt.Errorf("roots %q, spans without their parent %q; one root and none without a parent are right", roots, orphans)
	}
	return nil
}

// has checks that there is a span for each node of the tree, below a span of the
// node's parent.
func has(spans []readback.Span, tree string) error {
	byID := map[string]readback.Span{}
	for _, s := range spans {
		byID[s.SpanID] = s
	}
	var missing []string
	for _, n := range parse(tree) {
		if !slices.ContainsFunc(spans, func(s readback.Span) bool {
			parent, ok := byID[s.ParentSpanID]
			return n.is(s) && (n.parent == nil && !ok || n.parent != nil && ok && n.parent.is(parent))
		}) {
			missing = append(missing, fmt.Sprintf("%s below %s", n, n.parent))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the trace has no %s", strings.Join(missing, ", no "))
	}
	return nil
}

// named gives the spans of a service with a name.
func named(spans []readback.Span, service, name string) []readback.Span {
	n := &node{service: service, name: name}
	return slices.DeleteFunc(slices.Clone(spans), func(s readback.Span) bool { return !n.is(s) })
}
