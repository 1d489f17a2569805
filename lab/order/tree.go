// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// Node is a span that each order's trace has, and the span that is its parent.
type Node struct {
	Service, Name string
	Parent        *Node // nil for the root
}

func (n *Node) String() string { return n.Service + ": " + n.Name }

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

// has checks that there is a span for each node, below a span of the node's parent.
func has(spans []readback.Span, nodes []*Node) error {
	byID := map[string]readback.Span{}
	for _, s := range spans {
		byID[s.SpanID] = s
	}
	var missing []string
	for _, n := range nodes {
		found := slices.ContainsFunc(spans, func(s readback.Span) bool {
			if s.Service != n.Service || s.Name != n.Name {
				return false
			}
			parent, ok := byID[s.ParentSpanID]
			if n.Parent == nil {
				return !ok
			}
			return ok && parent.Service == n.Parent.Service && parent.Name == n.Parent.Name
		})
		if !found {
			missing = append(missing, fmt.Sprintf("%s below %s", n, n.Parent))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the trace has no %s", strings.Join(missing, ", no "))
	}
	return nil
}

// named gives the spans of a service with a name.
func named(spans []readback.Span, service, name string) []readback.Span {
	var found []readback.Span
	for _, s := range spans {
		if s.Service == service && s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// The spans of an order.
var (
	ingress = &Node{Service: "edge", Name: "ingress"}
	Tree    = []*Node{ingress}
)
