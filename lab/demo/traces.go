// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// about are the attributes that say what a span is about.
var about = []string{
	"consul.service.name", "consul.kv.key.name", "etcd.lock.name", "etcd.election.name", "etcd.lease.keys", "etcd.lease.end.cause",
	"vault.request.path", "vault.lease.prefix", "vault.lease.end.cause",
}

// tree is a span with its parts.
type tree struct {
	readback.Span
	title string
	parts []tree
}

// printTraces writes what has parts first, and what is alike once.
func (p Snapshot) printTraces(w io.Writer, system System, link func(traceID string) string) {
	trees := grow(p.Spans[system.Name], readback.Span{Service: system.Name})
	if len(trees) > 0 {
		fmt.Fprintf(w, "  Traces\tduration\tin Jaeger\n")
	}
	var own []string
	for len(trees) > 0 {
		n := alike(trees)
		first := trees[0]
		switch {
		case system.own(first.Span):
			own = append(own, middle(path(first.Span), longestPath)+failed(first.Span))
		case n == 1:
			p.printTree(w, system, first, 0, link)
		default:
			longer := func(a, b tree) int { return cmp.Compare(a.Duration, b.Duration) }
			least, most := slices.MinFunc(trees[:n], longer), slices.MaxFunc(trees[:n], longer)
			fmt.Fprintf(w, "    %s × %d\t%s to %s\t%s  the longest\n", first.title, n, short(least.Duration), short(most.Duration), link(most.TraceID))
		}
		trees = trees[n:]
	}
	if len(own) > 0 {
		printList(w, "left out are the demo's own, to set up and to ask until a lease is gone:", own)
	}
}

// printTree says where a trace can be looked at, once, and which spans its spans
// are linked to.
func (p Snapshot) printTree(w io.Writer, system System, t tree, depth int, link func(traceID string) string) {
	url := ""
	if depth == 0 {
		url = link(t.TraceID)
	}
	fmt.Fprintf(w, "    %s%s\t%s\t%s\n", strings.Repeat("  ", depth), t.title, short(t.Duration), url)
	for _, l := range t.Links {
		if to, found := p.span(system, l.TraceID, l.SpanID); found {
			fmt.Fprintf(w, "\t\tlinked to %s of %.6s…%s\n", to.Name, to.TraceID, role(l))
		}
	}
	for _, part := range t.parts {
		p.printTree(w, system, part, depth+1, link)
	}
}

// alike counts the first trees that differ in their durations only.
func alike(trees []tree) int {
	n := 1
	plain := func(t tree) bool { return len(t.parts) == 0 && len(t.Links) == 0 }
	for plain(trees[0]) && n < len(trees) && plain(trees[n]) && trees[n].title == trees[0].title {
		n++
	}
	return n
}

// grow puts spans below those that they are parts of, as they began, and what has
// most parts first, then what is of one kind together, as it came to its end. It
// leaves out the markers of what is over. What the whole says, titles need not.
func grow(spans []readback.Span, whole readback.Span) []tree {
	type id struct{ trace, span string }
	known, parts := map[id]bool{}, map[id][]readback.Span{}
	for _, s := range spans {
		known[id{s.TraceID, s.SpanID}] = true
	}
	for _, s := range spans {
		of := id{s.TraceID, s.ParentSpanID}
		if !known[of] {
			parts[id{}] = append(parts[id{}], s)
		} else if !strings.HasSuffix(s.Name, ".start") {
			parts[of] = append(parts[of], s)
		}
	}
	var below func(of id, whole readback.Span) []tree
	below = func(of id, whole readback.Span) []tree {
		var trees []tree
		for _, s := range parts[of] {
			trees = append(trees, tree{s, title(s, whole), below(id{s.TraceID, s.SpanID}, s)})
		}
		slices.SortFunc(trees, func(a, b tree) int { return cmp.Or(a.Start.Compare(b.Start), strings.Compare(b.Name, a.Name)) })
		return trees
	}
	trees := below(id{}, whole)
	end := func(t tree) time.Time { return t.Start.Add(t.Duration) }
	slices.SortFunc(trees, func(a, b tree) int {
		return cmp.Or(-cmp.Compare(a.size(), b.size()), strings.Compare(a.title, b.title), end(a).Compare(end(b)))
	})
	return trees
}

func (t tree) size() int {
	n := 1
	for _, part := range t.parts {
		n += part.size()
	}
	return n
}

// title is the name of a span, and what it is about that the whole does not say.
func title(s, whole readback.Span) string {
	var said []string
	if s.Service != whole.Service {
		said = append(said, "of "+s.Service)
	}
	for _, attribute := range about {
		value, ok := s.Attributes[attribute]
		if !ok || fmt.Sprint(value) == fmt.Sprint(whole.Attributes[attribute]) {
			continue
		}
		if list, several := value.([]any); several {
			for _, key := range list { // That of a session ends with its lease.
				said = append(said, strings.TrimSuffix(fmt.Sprint(key), fmt.Sprintf("/%v", s.Attributes["etcd.lease.id"])))
			}
			continue
		}
		if text := fmt.Sprint(value); !slices.Contains(said, text) { // The prefix of a lease is the path of its request.
			said = append(said, text)
		}
	}
	name := s.Name
	if said != nil {
		name += " (" + strings.Join(said, ", ") + ")"
	}
	return name + failed(s)
}

// role is what the span that a link leads to is to the one that has the link.
func role(l readback.Link) string {
	if role, ok := l.Attributes["consul.lock.link"].(string); ok {
		return " (the " + role + " one)"
	}
	return ""
}

// own says whether a span is a request of the demo's own.
func (s System) own(span readback.Span) bool {
	return s.Own != "" && strings.HasPrefix(path(span), s.Own)
}

func path(s readback.Span) string {
	path, _ := s.Attributes["vault.request.path"].(string)
	return path
}

func failed(s readback.Span) string {
	if s.Failed {
		return " (error)"
	}
	return ""
}
