// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// One trace as a Gantt chart.
import { useMemo } from "react";
import { TracingGanttChart } from "@perses-dev/tracing-gantt-chart-plugin/lib/TracingGanttChart/TracingGanttChart";
import { OtlpSpan, OtlpTrace, trace, useLoaded } from "./sources";
import { chosen } from "./url";

const mostRows = 25; // that are in view at once

interface Props { id: string; span?: string; close: () => void }

export function TraceSection({ id, span, close }: Props) {
  const { value, error } = useLoaded(() => trace(id), [id]);
  const drawn = useMemo(() => value && completed(value, Date.now()), [value]);
  return (
    <div className="card trace" data-trace-open={id}>
      <div className="title">
        <h3>Trace</h3>
        <span>{drawn && drawn.count > 0 && summary(drawn)}</span>
        <button className="link" onClick={close}>close</button>
      </div>
      {error && <p className="error">{error}</p>}
      {drawn?.count === 0 && <p className="explain">Jaeger does not have this trace: it has not arrived yet, was not sampled, or was deleted.</p>}
      {!drawn && !error && <p className="explain">Loading…</p>}
      {drawn && drawn.count > 0 && (
        <div className="gantt" style={{ height: Math.max(330, 230 + 33 * Math.min(mostRows, drawn.count)) }}>
          <TracingGanttChart key={id + span} trace={drawn as never}
            options={{ selectedSpanId: span, links: links() }} customLinks={{ variables: {}, links: links() }} />
        </div>
      )}
    </div>
  );
}

/** Where links between spans lead, with the time range that was chosen. */
function links() {
  const range = chosen("range");
  const kept = range ? "&range=" + encodeURIComponent(range) : "";
  return { trace: "/?trace=${traceId}" + kept, span: "/?trace=${traceId}&span=${spanId}" + kept };
}

export interface Completed extends OtlpTrace { count: number; orphans: number }

/**
 * A period that is open has a marker, NAME.start, whose parent is exported when the period ends. Until then this adds a
 * span in its place that lasts until now. What else lacks its parent is drawn below what has none.
 */
export function completed(found: OtlpTrace, now: number): Completed {
  const delivered = found.resourceSpans.flatMap(({ resource, scopeSpans }) => scopeSpans.flatMap(({ scope, spans }) => spans.map((span) => ({ resource, scope, span, orphan: false }))));
  const all = [...new Map(delivered.map((one) => [one.span.spanId, one])).values()]; // What is sent again has the same ID.
  const known = new Set(all.map(({ span }) => span.spanId));
  for (const { resource, scope, span } of [...all]) {
    if (!span.parentSpanId || known.has(span.parentSpanId) || !span.name.endsWith(".start")) continue;
    known.add(span.parentSpanId);
    const open: OtlpSpan = {
      ...span, spanId: span.parentSpanId, parentSpanId: undefined, name: "(open) " + span.name.replace(/\.start$/, ""),
      endTimeUnixNano: String(BigInt(now) * 1_000_000n),
    };
    all.push({ resource, scope, span: open, orphan: false });
  }
  for (const one of all) {
    if (!one.span.parentSpanId || known.has(one.span.parentSpanId)) continue;
    one.orphan = true;
    one.span = { ...one.span, parentSpanId: undefined };
  }
  all.sort((a, b) => Number(a.orphan) - Number(b.orphan) || Number(BigInt(a.span.startTimeUnixNano) - BigInt(b.span.startTimeUnixNano)));
  return {
    resourceSpans: all.map(({ resource, scope, span }) => ({ resource, scopeSpans: [{ scope, spans: [span] }] })),
    count: all.length, orphans: all.filter(({ orphan }) => orphan).length,
  };
}

function summary({ count, orphans }: Completed): string {
  return count + (count === 1 ? " span" : " spans") + (orphans > 0 ? ", " + orphans + " of them without their parent: it has not arrived, or was lost" : "");
}
