// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Draws the panels of a dashboard with the components of Perses.
import { ComponentType, ReactNode, useEffect, useRef, useState } from "react";
import { useTimeRange } from "@perses-dev/plugin-system";
import { getTimeSeriesData } from "@perses-dev/prometheus-plugin/lib/plugins/prometheus-time-series-query/get-time-series-data";
import * as prometheus from "@perses-dev/prometheus-plugin/lib/model/prometheus-client";
import { StatChartPanel } from "@perses-dev/stat-chart-plugin/lib/StatChartPanel";
import { TimeSeriesChartPanel } from "@perses-dev/timeseries-chart-plugin/lib/TimeSeriesChartPanel";
import { Exemplars } from "./exemplars";
import { Definition, Panel, useLoaded } from "./sources";

const at = { datasourceUrl: "/prometheus" };
const client = {
  rangeQuery: (parameters: object) => answered(prometheus.rangeQuery(parameters as never, at)),
  instantQuery: (parameters: object) => answered(prometheus.instantQuery(parameters as never, at)),
};
// Less than the 15 s that is usual: in a demo, seconds count.
const datasource = { plugin: { kind: "PrometheusDatasource", spec: { directUrl: "/prometheus", scrapeInterval: "5s" } } };
const datasourceStore = {
  getDatasource: async () => datasource,
  getDatasourceClient: async () => client,
  listDatasourceSelectItems: async () => [],
};

/** Prometheus reports a bad query in the body of its answer. */
async function answered<T extends { status: string; error?: string }>(answer: Promise<T>): Promise<T> {
  const it = await answer;
  if (it.status !== "success") throw new Error("Prometheus: " + it.error);
  return it;
}

export function DashboardSection({ definition: { dashboard, exemplars }, open }: { definition: Definition; open: (trace: string, span?: string) => void }) {
  const { display, panels, layouts } = dashboard.spec;
  const names = layouts.flatMap((l) => l.spec.items.map((i) => i.content.$ref.split("/").pop() as string));
  return (
    <section>
      <h2 id={dashboard.metadata.name}>{display.name}</h2>
      <p>{display.description}</p>
      <p className="explain none">Prometheus has no data for this section in this time range.</p>
      <div className="grid">
        {names.map((name) => panels[name] && <PanelCard key={name} panel={panels[name]} exemplars={exemplars[name]} open={open} />)}
      </div>
    </section>
  );
}

const charts: Record<string, unknown> = { StatChart: StatChartPanel, TimeSeriesChart: TimeSeriesChartPanel };

interface CardProps { panel: Panel; exemplars?: string; open: (trace: string, span?: string) => void }

function PanelCard({ panel, exemplars, open }: CardProps) {
  const { display, plugin, queries } = panel.spec;
  const { absoluteTimeRange: timeRange, refreshKey } = useTimeRange();
  const mode = plugin.kind === "StatChart" ? "instant" : "range";
  const context = { timeRange, variableState: {}, datasourceStore, refreshKey, mode };
  const { value, error } = useLoaded(
    () => Promise.all(queries.map(async (q) => ({ definition: q, data: await getTimeSeriesData(q.spec.plugin.spec as never, context as never) }))),
    [refreshKey],
  );
  const drawn = value?.some(({ data }) => data.series.length > 0);
  const Chart = charts[plugin.kind] as ComponentType<Record<string, unknown>> | undefined;
  const seconds = unitOf(plugin) === "seconds";
  return (
    <div className={"card" + (plugin.kind === "StatChart" ? " stat" : "")} data-panel={display.name} data-drawn={drawn ? "yes" : "no"}>
      <h3 title={display.description}>{display.name}</h3>
      {plugin.kind !== "StatChart" && <p className="explain">{display.description}</p>}
      {error && <p className="error">{error}</p>}
      <div className="chart">
        {!Chart && <div className="empty">There is no component for panels of kind {plugin.kind}.</div>}
        {Chart && drawn && <Sized>{(contentDimensions) => <Chart spec={plugin.spec} contentDimensions={contentDimensions} queryResults={value} definition={panel} />}</Sized>}
        {Chart && !drawn && !error && <div className="empty">{value ? "No data in this time range." : "Loading…"}</div>}
      </div>
      {exemplars && <Exemplars selector={exemplars} seconds={seconds} named={labelsIn(queries)} open={open} />}
    </div>
  );
}

/** The labels by which the legends of queries name series. */
function labelsIn(queries: Panel["spec"]["queries"]): string[] {
  const legends = queries.map((q) => String(q.spec.plugin.spec.seriesNameFormat)).join(" ");
  return [...new Set([...legends.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name as string))];
}

function unitOf({ spec }: { spec: Record<string, unknown> }): string | undefined {
  return (spec.yAxis as { format?: { unit?: string } } | undefined)?.format?.unit;
}

export function Sized({ children }: { children: (size: { width: number; height: number }) => ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<{ width: number; height: number }>();
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: Math.floor(entry.contentRect.width), height: Math.floor(entry.contentRect.height) });
    });
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return <div ref={box} style={{ height: "100%", width: "100%", overflow: "hidden" }}>{size && size.width > 0 && children(size)}</div>;
}
