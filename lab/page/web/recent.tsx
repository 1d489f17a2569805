// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// What has ended lately.
import { ReactNode } from "react";
import { duration, time } from "./format";
import { Loaded, Part, Past, Recent } from "./sources";

export function RecentSection({ recent, open }: { recent: Loaded<Recent>; open: (trace: string, span?: string) => void }) {
  if (!recent.value) return <p className={recent.error ? "error" : "explain"}>{recent.error ?? "Loading…"}</p>;
  const { At, Incidents, Waits, Slowest, Failed } = recent.value;
  const request = (p: Past) => [p.Name, p.Service, p.Failed ? <span className="bad">{p.Status || "failed"}</span> : "succeeded"];
  return (
    <>
      {recent.error && <p className="error">{recent.error} Below is what was known at {time(At)}.</p>}
      <div className="now">
        <Rows title="Last incidents" none="No incident, outage, sealed or leaderless time ended that began in the last 24 h." part={Incidents} open={open}
          columns={["incident", "of"]} lasted="lasted" row={(p) => [p.Name, [p.Subject || p.Service, p.Status].filter(Boolean).join(", ")]} />
        <Rows title="Longest waits for locks" none="Nobody waited for a lock of etcd in the last hour. Consul does not record waits." part={Waits} open={open}
          columns={["lock", "lease"]} lasted="waited" row={(p) => [p.Subject, <code>{p.Holder}</code>]} />
        <Rows title="Slowest requests" none="Jaeger has no request to an application in the last hour." part={Slowest} open={open}
          columns={["request", "application", "result"]} lasted="took" row={request} />
        <Rows title="Failed requests" none="No request to an application failed in the last hour." part={Failed} open={open}
          columns={["request", "application", "result"]} lasted="took" row={request} />
      </div>
    </>
  );
}

interface Props {
  title: string; none: string; part: Part<Past>; columns: string[]; lasted: string;
  row: (p: Past) => ReactNode[]; open: (trace: string, span?: string) => void;
}

function Rows({ title, none, part, columns, lasted, row, open }: Props) {
  return (
    <div className="card wide" data-section={title}>
      <h3>{title}</h3>
      {part.Error && <p className="error">{part.Error}</p>}
      {!part.Error && part.Items.length === 0 && <p className="explain">{none}</p>}
      {part.Items.length > 0 && (
        <table>
          <thead><tr>{columns.map((c) => <th key={c}>{c}</th>)}<th>began</th><th>{lasted}</th><th /></tr></thead>
          <tbody>
            {part.Items.map((p) => (
              <tr key={p.TraceID + p.SpanID}>
                {row(p).map((cell, i) => <td key={i}>{cell}</td>)}
                <td className="time">{time(p.Began)}</td>
                <td className="time">{duration(p.Seconds)}</td>
                <td className="time"><button className="link" onClick={() => open(p.TraceID, p.SpanID)}>trace</button></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
