// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// One trace as a Gantt chart.
import { useMemo } from "react";
import { TracingGanttChart } from "@perses-dev/tracing-gantt-chart-plugin/lib/TracingGanttChart/TracingGanttChart";
import { OtlpSpan, OtlpTrace, trace, useLoaded } from "./sources";

interface Props { id: string; span?: string; close: () => void }

export function TraceSection({ id, span, close }: Props) {
  const { value, error } = useLoaded(() => trace(id), [id]);
  const completed = useMemo(() => value && withOpenSpans(value, Date.now()), [value]);
  const count = completed?.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)).length;
  return (
    <div className="card trace" data-trace-open={id}>
      <div className="title">
        <h3>Trace</h3>
        <span><code>{id}</code>{count !== undefined && " · " + count + (count === 1 ? " span" : " spans")}</span>
        <button className="link" onClick={close}>close</button>
      </div>
      {error && <p className="error">{error}</p>}
      {count === 0 && <p className="explain">Jaeger does not have this trace: it has not arrived yet, was not sampled, or was deleted.</p>}
      {!completed && !error && <p className="explain">Loading…</p>}
      {completed && count !== 0 && (
        <div className="gantt" style={{ height: Math.min(640, Math.max(330, 230 + 33 * (count ?? 0))) }}>
          <TracingGanttChart key={id + span} trace={completed as never}
            options={{ selectedSpanId: span, links: { trace: "/?trace=${traceId}", span: "/?trace=${traceId}&span=${spanId}" } }}
            customLinks={{ variables: {}, links: { trace: "/?trace=${traceId}", span: "/?trace=${traceId}&span=${spanId}" } }} />
        </div>
      )}
    </div>
  );
}

/**
 * A period that is open has a marker, NAME.start, whose parent is exported when the period ends. Until then this adds a
 * span in its place that lasts until now. Any other parent that is missing is cut off, so that its children are drawn.
 */
export function withOpenSpans(found: OtlpTrace, now: number): OtlpTrace {
  const spans = new Map<string, OtlpSpan>();
  for (const r of found.resourceSpans) for (const s of r.scopeSpans) for (const span of s.spans) spans.set(span.spanId, span);
  const added = new Set<string>();
  const resourceSpans = found.resourceSpans.map((r) => ({
    ...r,
    scopeSpans: r.scopeSpans.map((s) => ({ ...s, spans: s.spans.flatMap((span) => complete(span)) })),
  }));
  return { resourceSpans };

  function complete(span: OtlpSpan): OtlpSpan[] {
    const parent = span.parentSpanId;
    if (!parent || spans.has(parent) || added.has(parent)) return [span];
    const marker = [...spans.values()].find((s) => s.parentSpanId === parent && s.name.endsWith(".start"));
    if (!marker) return [{ ...span, parentSpanId: undefined }];
    added.add(parent);
    const open: OtlpSpan = {
      ...marker, spanId: parent, parentSpanId: undefined, name: "(open) " + marker.name.replace(/\.start$/, ""),
      endTimeUnixNano: String(BigInt(now) * 1_000_000n),
    };
    return [open, span];
  }
}
