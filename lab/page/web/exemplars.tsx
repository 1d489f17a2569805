// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// The exemplars of a metric: each is one observed value and leads to the trace behind it.
import { useMemo } from "react";
import { EChart } from "@perses-dev/components";
import { useTimeRange } from "@perses-dev/plugin-system";
import { ScatterChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { duration, labels, time } from "./format";
import { Exemplar, exemplars, traceOf, useLoaded } from "./sources";

use([ScatterChart, GridComponent, TooltipComponent, CanvasRenderer]);

const listed = 5;

interface Props { selector: string; seconds: boolean; named: string[]; open: (trace: string, span?: string) => void }

/** Lists the largest, or the newest of a counter, where each stands for one. Series are named by some of their labels. */
export function Exemplars({ selector, seconds, named, open }: Props) {
  const { absoluteTimeRange: { start, end }, refreshKey } = useTimeRange();
  const { value, error } = useLoaded(() => exemplars(selector, start, end), [refreshKey]);
  const found = useMemo(() => (value ?? []).filter((e) => traceOf(e) !== undefined), [value]);
  const list = seconds ? [...found].sort((a, b) => b.value - a.value) : found;
  const show = (e: Exemplar) => open(traceOf(e) as string, e.labels.span_id ?? e.labels.spanID);
  const written = (v: number) => (seconds ? duration(v) : String(v));
  const option = useMemo(() => ({
    animation: false,
    grid: { left: 8, right: 12, top: 8, bottom: 4, containLabel: true },
    xAxis: { type: "time", min: start.getTime(), max: end.getTime(), axisLabel: { fontSize: 10, hideOverlap: true } },
    yAxis: { type: "value", min: 0, splitNumber: 2, axisLabel: { fontSize: 10, formatter: written } },
    tooltip: { formatter: ({ data }: { data: { exemplar: Exemplar } }) => tip(data.exemplar, written, named) },
    series: [{ type: "scatter", symbol: "diamond", symbolSize: 9, cursor: "pointer", itemStyle: { color: "#c05b1c" },
      data: found.map((exemplar) => ({ value: [exemplar.time, exemplar.value], exemplar })) }],
  }), [found, start.getTime(), end.getTime(), seconds]);
  if (error) return <div className="exemplars"><p className="error">{error}</p></div>;
  if (found.length === 0) {
    return <div className="exemplars"><p className="explain">{value ? "No exemplar in this time range." : "Loading exemplars…"}</p></div>;
  }
  return (
    <div className="exemplars">
      {seconds && (
        <div className="scatter">
          <EChart option={option as never} style={{ width: "100%", height: "100%" }}
            onEvents={{ click: ({ data }: { data: { exemplar: Exemplar } }) => show(data.exemplar) } as never} />
        </div>
      )}
      <table>
        <thead><tr><th>exemplar of</th><th className="number">value</th><th>at</th><th /></tr></thead>
        <tbody>
          {list.slice(0, listed).map((e, i) => (
            <tr key={i}>
              <td>{labels(e.series, named)}</td>
              <td className="number">{written(e.value)}</td>
              <td className="time">{time(e.time)}</td>
              <td className="time"><button className="link" data-trace={traceOf(e)} onClick={() => show(e)}>trace {traceOf(e)?.slice(0, 8)}</button></td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length > listed && <p className="explain">The {seconds ? "largest" : "newest"} {listed} of {found.length}.</p>}
    </div>
  );
}

/** ECharts writes it as HTML, and labels may hold anything. */
function tip(e: Exemplar, written: (v: number) => string, named: string[]): HTMLElement {
  const box = document.createElement("div");
  box.textContent = [written(e.value), labels(e.series, named), time(e.time), "click for trace " + traceOf(e)].filter(Boolean).join(" · ");
  return box;
}
