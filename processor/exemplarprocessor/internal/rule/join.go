// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// join is of a value that a data point and its spans share.
type join struct {
	names  []string // of the attribute of the data point or of its resource
	others []string // what it is called when it is under none of the names

	// instance says that it is optional, and counts for instances only of which
	// spans came.
	instance bool
	span     string
	of       func(ptrace.Span) string // not an attribute, but a field of the span
	mask     Mask                     // its bit; 0: it is not optional

	column int // is the same for all joins, of whichever rule, with the same span
}

// fields are what a span has beside its attributes, in the words of
// spanmetrics.
var fields = map[string]func(ptrace.Span) string{
	"span.name":   ptrace.Span.Name,
	"span.kind":   func(s ptrace.Span) string { return spanKind(s.Kind()) },
	"status.code": func(s ptrace.Span) string { return statusCode(s.Status().Code()) },
}

func spanKind(kind ptrace.SpanKind) string {
	switch kind {
	case ptrace.SpanKindServer:
		return "SPAN_KIND_SERVER"
	case ptrace.SpanKindClient:
		return "SPAN_KIND_CLIENT"
	case ptrace.SpanKindProducer:
		return "SPAN_KIND_PRODUCER"
	case ptrace.SpanKindConsumer:
		return "SPAN_KIND_CONSUMER"
	case ptrace.SpanKindInternal:
		return "SPAN_KIND_INTERNAL"
	default:
		return "SPAN_KIND_UNSPECIFIED"
	}
}

func statusCode(code ptrace.StatusCode) string {
	switch code {
	case ptrace.StatusCodeOk:
		return "STATUS_CODE_OK"
	case ptrace.StatusCodeError:
		return "STATUS_CODE_ERROR"
	default:
		return "STATUS_CODE_UNSET"
	}
}

func (c JoinConfig) compile() join {
	name := c.Metric
	switch name { // The receiver for Prometheus has renamed them.
	case "job":
		name = serviceName
	case "instance":
		name = serviceInstanceID
	}
	j := join{names: []string{name}, span: c.Span}
	if c.Span == "" {
		j.span = name
	}
	if m := mangled(name); m != name {
		j.names = append(j.names, m)
	}
	switch name {
	case serviceName:
		j.others = []string{"job", "service"}
	case serviceInstanceID:
		j.others = []string{"instance"}
	}
	j.instance = c.Optional && name == serviceInstanceID && j.span == serviceInstanceID
	j.of = fields[j.span]
	return j
}

const (
	serviceName = "service.name"
	namespace   = "service.namespace"
)

// has says whether a data point has a value.
func (j *join) has(resource, attrs pcommon.Map) bool {
	for _, names := range [...][]string{j.names, j.others} {
		for _, name := range names {
			if _, ok := lookUp(name, attrs, resource); ok {
				return true
			}
		}
	}
	return false
}

// point returns the hash of the value of a data point. What the point says itself
// goes before what its resource says, which may be who it was scraped from.
func (j *join) point(h *hasher, of *inherited, resource, attrs pcommon.Map) (uint64, bool) {
	if hash, ok := j.under(j.names, h, &of.names, resource, attrs); ok || len(j.others) == 0 {
		return hash, ok
	}
	return j.under(j.others, h, &of.others, resource, attrs)
}

func (j *join) under(names []string, h *hasher, of *value, resource, attrs pcommon.Map) (uint64, bool) {
	for _, name := range names {
		if value, ok := lookUp(name, attrs); ok {
			return h.value(value), true
		}
	}
	if !of.asked {
		*of = inherit(h, resource, j.names[0] == serviceName, names...)
	}
	return of.as(true), of.ok
}

// inherit returns the value that a resource has under the first of the names.
func inherit(h *hasher, resource pcommon.Map, service bool, names ...string) value {
	for _, name := range names {
		of, ok := lookUp(name, resource)
		if !ok {
			continue
		}
		v := value{hash: h.value(of), ok: true, asked: true}
		if service {
			v.whole = wholeName(h, of, resource)
		}
		return v
	}
	return value{asked: true}
}

// wholeName returns the hash of a service's name with its namespace, as the job
// of Prometheus has it; 0 if the resource has no namespace.
func wholeName(h *hasher, name pcommon.Value, resource pcommon.Map) uint64 {
	of, ok := lookUp(namespace, resource)
	if !ok {
		return 0
	}
	return h.path(of.AsString(), name.AsString())
}

// spanned returns the value of a span, or of its resource.
func (j *join) spanned(h *hasher, scratch *Scratch, resource pcommon.Map, span ptrace.Span) value {
	if j.of != nil {
		return value{hash: h.text(j.of(span)), ok: true, asked: true}
	}
	if of, ok := lookUp(j.span, span.Attributes()); ok {
		return value{hash: h.value(of), ok: true, asked: true}
	}
	of := &scratch.inherited[j.column]
	if !of.asked {
		*of = inherit(h, resource, j.span == serviceName, j.span)
	}
	return *of
}
