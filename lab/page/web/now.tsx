// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// What is open at this moment.
import { ReactNode } from "react";
import { ago, time } from "./format";
import { Loaded, Now, Part, Period, State } from "./sources";

export function NowSection({ now, open }: { now: Loaded<Now>; open: (trace: string, span?: string) => void }) {
  if (!now.value) return <p className={now.error ? "error" : "explain"}>{now.error ?? "Loading…"}</p>;
  const { At, Systems, Incidents, Locks, Workflows } = now.value;
  return (
    <>
      {now.error && <p className="error">{now.error} Below is what was known at {time(At)}.</p>}
      <div className="now">
        {Systems.Error ? <p className="error wide">{Systems.Error}</p> : ["consul", "etcd", "vault"].map((system) => (
          <System key={system} name={system} states={Systems.Items.filter((s) => s.System === system)} />
        ))}
        <Periods title="Open incidents" none="No open incident: no check fails, no server is sealed or without a leader, as far as the collector observed it begin."
          part={Incidents} at={At} alarming open={open} columns={["incident", "of"]} row={(p) => [p.Name, [p.Subject || p.Service, p.Status].filter(Boolean).join(", ")]} />
        <Periods title="Locks" none="No lock is held or waited for that was acquired in the last 24 h." part={Locks} at={At} open={open}
          columns={["lock", "state", "session or lease"]} row={(p) => [p.Subject, p.Status, <code>{p.Holder}</code>]} />
        <Periods title="Running workflows" none="No workflow runs that an application started in the last hour." part={Workflows} at={At} open={open}
          columns={["workflow", "ID", "started by"]} row={(p) => [p.Name, <code>{p.Subject}</code>, p.Service]} />
      </div>
    </>
  );
}

function System({ name, states }: { name: string; states: State[] }) {
  return (
    <div className="card">
      <h3>{{ consul: "Consul", etcd: "etcd", vault: "Vault" }[name]}</h3>
      <ul className="states">{states.map(({ Text, Bad }) => <li key={Text} className={Bad ? "bad" : ""}>{Text}</li>)}</ul>
    </div>
  );
}

interface Props {
  title: string; none: string; part: Part<Period>; at: string; alarming?: boolean; columns: string[];
  row: (p: Period) => ReactNode[]; open: (trace: string, span?: string) => void;
}

function Periods({ title, none, part, at, alarming, columns, row, open }: Props) {
  return (
    <div className={"card wide" + (alarming && part.Items.length > 0 ? " open" : "")} data-section={title}>
      <h3>{title}{part.Items.length > 0 && ": " + part.Items.length}</h3>
      {part.Error && <p className="error">{part.Error}</p>}
      {!part.Error && part.Items.length === 0 && <p className="explain">{none}</p>}
      {part.Items.length > 0 && (
        <table>
          <thead><tr>{columns.map((c) => <th key={c}>{c}</th>)}<th>since</th><th>for</th><th /></tr></thead>
          <tbody>
            {part.Items.map((p) => (
              <tr key={p.TraceID + p.SpanID}>
                {row(p).map((cell, i) => <td key={i}>{cell}</td>)}
                <td className="time">{time(p.Since)}</td>
                <td className="time">{ago(p.Since, at)}</td>
                <td className="time"><button className="link" onClick={() => open(p.TraceID, p.SpanID)}>trace</button></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
