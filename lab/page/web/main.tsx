// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

import "./page.css";
import { ReactNode, forwardRef, useCallback, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { ThemeProvider } from "@mui/material/styles";
import { ChartsProvider, generateChartsTheme, getTheme } from "@perses-dev/components";
import { BuiltinVariableContext, RouterContext, TimeRangeProvider, VariableContext } from "@perses-dev/plugin-system";
import { TimeRangeValue } from "@perses-dev/core";
import { NowSection } from "./now";
import { DashboardSection } from "./panels";
import { RecentSection } from "./recent";
import { definitions, now, recent, useLoaded } from "./sources";
import { TraceSection } from "./trace";
import { choose, chosen } from "./url";

const refreshed = 5000; // ms
const recentEvery = 6; // of these: it reads many traces
const ranges = ["5m", "15m", "1h", "6h"] as const;

const theme = getTheme("light");
const chartsTheme = generateChartsTheme(theme, { echartsTheme: { grid: { top: 12 } } } as never);

function useTrace() {
  const read = () => {
    const trace = chosen("trace");
    return trace ? { trace, span: chosen("span") } : undefined;
  };
  const [shown, setShown] = useState(read);
  useEffect(() => {
    const changed = () => setShown(read());
    addEventListener("popstate", changed);
    return () => removeEventListener("popstate", changed);
  }, []);
  const open = useCallback((trace: string, span?: string) => {
    choose({ trace, span });
    setShown({ trace, span });
    scrollTo({ top: 0 });
  }, []);
  const close = useCallback(() => { choose({ trace: undefined, span: undefined }); setShown(undefined); }, []);
  return { shown, open, close };
}

type Range = (typeof ranges)[number];

/** A range that was zoomed into is not part of the URL. */
function useTimeRangeOfURL() {
  const read = () => ranges.find((r) => r === chosen("range")) ?? "15m";
  const range = useRef(read());
  const [timeRange, setTimeRange] = useState<TimeRangeValue>({ pastDuration: range.current });
  useEffect(() => {
    const changed = () => {
      if (range.current === read()) return; // Something else was chosen.
      range.current = read();
      setTimeRange({ pastDuration: range.current });
    };
    addEventListener("popstate", changed);
    return () => removeEventListener("popstate", changed);
  }, []);
  const chooseRange = (next: Range) => {
    if (next !== chosen("range")) choose({ range: next });
    range.current = next;
    setTimeRange({ pastDuration: next });
  };
  return { timeRange, setTimeRange, chooseRange };
}

/** The components ask for variables, of which there are none, and for links within the page. */
function Contexts({ children }: { children: ReactNode }) {
  return (
    <RouterContext.Provider value={{ RouterComponent: Link, navigate: (to: string) => location.assign(to) } as never}>
      <VariableContext.Provider value={{ state: {} }}>
        <BuiltinVariableContext.Provider value={{ variables: [] } as never}>{children}</BuiltinVariableContext.Provider>
      </VariableContext.Provider>
    </RouterContext.Provider>
  );
}

const Link = forwardRef<HTMLAnchorElement, { to: string; children?: ReactNode }>(({ to, ...rest }, ref) => <a ref={ref} href={to} {...rest} />);

function App() {
  const { timeRange, setTimeRange, chooseRange } = useTimeRangeOfURL();
  const [tick, setTick] = useState(0);
  useEffect(() => { const timer = setInterval(() => setTick((t) => t + 1), refreshed); return () => clearInterval(timer); }, []);
  const current = useLoaded(now, [tick]);
  const ended = useLoaded(recent, [Math.floor(tick / recentEvery)]);
  const boards = useLoaded(definitions, []);
  const { shown, open, close } = useTrace();
  const zoomed = !("pastDuration" in timeRange);
  return (
    <ThemeProvider theme={theme}>
      <ChartsProvider chartsTheme={chartsTheme}>
          <Contexts>
          <TimeRangeProvider timeRange={timeRange} setTimeRange={setTimeRange} refreshInterval={zoomed ? "0s" : "5s"}>
            <header>
              <h1>otelcol-infra</h1>
              <nav>
                <a href="#now">Now</a>
                <a href="#recent">Recent</a>
                {boards.value?.map(({ dashboard: d }) => <a key={d.metadata.name} href={"#" + d.metadata.name}>{d.spec.display.name}</a>)}
              </nav>
              {zoomed && <span className="explain">zoomed</span>}
              <div className="ranges" role="group" aria-label="time range">
                {ranges.map((r) => (
                  <button key={r} aria-pressed={!zoomed && timeRange.pastDuration === r} onClick={() => chooseRange(r)}>{r}</button>
                ))}
              </div>
            </header>
            <main>
              {shown && <TraceSection key={shown.trace + shown.span} id={shown.trace} span={shown.span} close={close} />}
              <h2 id="now" style={{ marginTop: 0 }}>Now</h2>
              <p>From the newest metrics in Prometheus and the spans in Jaeger; refreshed every 5 s.</p>
              <NowSection now={current} open={open} />
              <h2 id="recent">Recent</h2>
              <p>What has ended lately, from the spans in Jaeger; at most five of a kind, refreshed every 30 s.</p>
              <RecentSection recent={ended} open={open} />
              {boards.error && <p className="error">{boards.error}</p>}
              {boards.value?.map((d) => <DashboardSection key={d.dashboard.metadata.name} definition={d} open={open} />)}
            </main>
          </TimeRangeProvider>
          </Contexts>
      </ChartsProvider>
    </ThemeProvider>
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(<App />);
