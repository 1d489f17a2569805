// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

import "./page.css";
import { ReactNode, forwardRef, useCallback, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { ThemeProvider } from "@mui/material/styles";
import { ChartsProvider, generateChartsTheme, getTheme } from "@perses-dev/components";
import { BuiltinVariableContext, RouterContext, TimeRangeProvider, VariableContext } from "@perses-dev/plugin-system";
import { TimeRangeValue } from "@perses-dev/core";
import { NowSection } from "./now";
import { DashboardSection } from "./panels";
import { definitions, now, useLoaded } from "./sources";
import { TraceSection } from "./trace";

const refreshed = 5000; // ms
const ranges = ["5m", "15m", "1h", "6h"] as const;

const theme = getTheme("light");
const chartsTheme = generateChartsTheme(theme, { echartsTheme: { grid: { top: 12 } } } as never);

/** The trace that is open is part of the URL, so that it can be shared. */
function useTrace() {
  const read = () => {
    const query = new URLSearchParams(location.search);
    const trace = query.get("trace");
    return trace ? { trace, span: query.get("span") ?? undefined } : undefined;
  };
  const [shown, setShown] = useState(read);
  useEffect(() => {
    const changed = () => setShown(read());
    addEventListener("popstate", changed);
    return () => removeEventListener("popstate", changed);
  }, []);
  const open = useCallback((trace: string, span?: string) => {
    history.pushState(null, "", "/?" + new URLSearchParams({ trace, ...(span && { span }) }));
    setShown({ trace, span });
    scrollTo({ top: 0 });
  }, []);
  const close = useCallback(() => { history.pushState(null, "", "/"); setShown(undefined); }, []);
  return { shown, open, close };
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
  const [timeRange, setTimeRange] = useState<TimeRangeValue>({ pastDuration: "5m" });
  const [tick, setTick] = useState(0);
  useEffect(() => { const timer = setInterval(() => setTick((t) => t + 1), refreshed); return () => clearInterval(timer); }, []);
  const current = useLoaded(now, [tick]);
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
                {boards.value?.map(({ dashboard: d }) => <a key={d.metadata.name} href={"#" + d.metadata.name}>{d.spec.display.name}</a>)}
              </nav>
              {zoomed && <span className="explain">zoomed</span>}
              <div className="ranges" role="group" aria-label="time range">
                {ranges.map((r) => (
                  <button key={r} aria-pressed={!zoomed && timeRange.pastDuration === r} onClick={() => setTimeRange({ pastDuration: r })}>{r}</button>
                ))}
              </div>
            </header>
            <main>
              {shown && <TraceSection key={shown.trace + shown.span} id={shown.trace} span={shown.span} close={close} />}
              <h2 id="now" style={{ marginTop: 0 }}>Now</h2>
              <p>From the newest metrics in Prometheus and the spans in Jaeger; refreshed every 5 s.</p>
              <NowSection now={current} open={open} />
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
