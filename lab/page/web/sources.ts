// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// What the page asks its own server for, which passes queries on to Prometheus and to Jaeger.
import { useEffect, useRef, useState } from "react";

export interface Plugin { kind: string; spec: Record<string, unknown> }
export interface Panel {
  kind: "Panel";
  spec: { display: { name: string; description?: string }; plugin: Plugin; queries: { kind: string; spec: { plugin: Plugin } }[] };
}
export interface Item { x: number; y: number; width: number; height: number; content: { $ref: string } }
export interface Dashboard {
  metadata: { name: string };
  spec: {
    display: { name: string; description: string };
    panels: Record<string, Panel>;
    layouts: { kind: "Grid"; spec: { items: Item[] } }[];
  };
}
/** A dashboard of Perses, and by panel the series whose exemplars lead to traces. */
export interface Definition { dashboard: Dashboard; exemplars: Record<string, string> }

export interface Part<T> { Items: T[]; Error?: string }
export interface State { System: string; Text: string; Bad: boolean }
export interface Period {
  Name: string; Service: string; Subject: string; Status: string; Holder: string; Since: string; TraceID: string; SpanID: string;
}
export interface Now { At: string; Systems: Part<State>; Incidents: Part<Period>; Locks: Part<Period>; Workflows: Part<Period> }

export interface Past {
  Name: string; Service: string; Subject: string; Status: string; Holder: string; Failed: boolean; Began: string; Seconds: number;
  TraceID: string; SpanID: string;
}
export interface Recent { At: string; Incidents: Part<Past>; Waits: Part<Past>; Slowest: Part<Past>; Failed: Part<Past> }

export interface Exemplar { labels: Record<string, string>; series: Record<string, string>; value: number; time: number }

async function get(path: string, init?: RequestInit, absent = false): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Error("The page's own server does not answer: make demo has ended.");
  }
  if (!response.ok && !(absent && response.status === 404)) throw new Error((await response.text()).slice(0, 500) || response.statusText);
  return response;
}

export async function definitions(): Promise<Definition[]> {
  return (await get("/dashboards")).json();
}

export async function now(): Promise<Now> {
  return (await get("/now")).json();
}

export async function recent(): Promise<Recent> {
  return (await get("/recent")).json();
}

export async function exemplars(selector: string, start: Date, end: Date): Promise<Exemplar[]> {
  const body = new URLSearchParams({ query: selector, start: start.toISOString(), end: end.toISOString() });
  const answer = await (await get("/prometheus/api/v1/query_exemplars", { method: "POST", body })).json();
  const found: Exemplar[] = [];
  for (const { seriesLabels, exemplars: list } of answer.data ?? []) {
    for (const { labels, value, timestamp } of list) found.push({ labels, series: seriesLabels, value: Number(value), time: timestamp * 1000 });
  }
  return found.sort((a, b) => b.time - a.time);
}

/** The ID of the trace that an exemplar leads to, in the spellings that there are. */
export function traceOf({ labels }: Exemplar): string | undefined {
  return labels.trace_id ?? labels.traceID ?? labels.traceId ?? labels.TraceID;
}

export interface OtlpValue { stringValue?: string; boolValue?: boolean; intValue?: string }
export interface OtlpSpan {
  traceId: string; spanId: string; parentSpanId?: string; name: string; kind?: number; startTimeUnixNano: string; endTimeUnixNano: string;
  attributes?: { key: string; value: OtlpValue }[]; status?: { code?: number };
}
export interface OtlpResource { resource?: object; scopeSpans: { scope?: object; spans: OtlpSpan[] }[] }
export interface OtlpTrace { resourceSpans: OtlpResource[] }

/** Jaeger answers with a stream of JSON objects, one a line, or with 404. */
export async function trace(id: string): Promise<OtlpTrace> {
  const response = await get("/jaeger/api/v3/traces/" + encodeURIComponent(id), undefined, true);
  if (response.status === 404) return { resourceSpans: [] };
  const lines = (await response.text()).split("\n").filter((line) => line.trim() !== "");
  return { resourceSpans: lines.flatMap((line) => (JSON.parse(line).result?.resourceSpans ?? []) as OtlpResource[]) };
}

export interface Loaded<T> { value?: T; error?: string }

/**
 * Loads once, and again whenever a dependency has changed, one request after the other: so a source that is slower than the
 * page refreshes is shown too, and is not flooded. What was loaded last stays until there is something newer.
 */
export function useLoaded<T>(load: () => Promise<T>, dependencies: unknown[]): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({});
  const requests = useRef<{ running: boolean; next?: () => Promise<T> }>({ running: false }).current;
  useEffect(() => {
    const begin = () => {
      const { running, next } = requests;
      if (running || !next) return;
      requests.running = true;
      requests.next = undefined;
      next().then(
        (value) => setLoaded({ value }),
        (error: unknown) => setLoaded((last) => ({ value: last.value, error: error instanceof Error ? error.message : String(error) })),
      ).finally(() => {
        requests.running = false;
        begin();
      });
    };
    requests.next = load;
    begin();
    return () => { requests.next = undefined; };
  }, dependencies);
  return loaded;
}
