// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Times are those of the browser's zone.
export function time(at: number | string | Date): string {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

export function duration(seconds: number): string {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1e-3) return (seconds * 1e6).toFixed(0) + " µs";
  if (size < 1) return (seconds * 1e3).toPrecision(3) + " ms";
  if (size < 60) return seconds.toPrecision(3) + " s";
  if (size < 3600) return Math.floor(seconds / 60) + " min " + Math.round(seconds % 60) + " s";
  return (seconds / 3600).toFixed(1) + " h";
}

export function ago(since: string, now: string): string {
  return duration(Math.max(1, Math.round((Date.parse(now) - Date.parse(since)) / 1000)));
}

/** The values of the labels that name a series. */
export function labels(series: Record<string, string>, named: string[]): string {
  return named.map((name) => series[name] ?? "").filter((value) => value !== "").join(" ");
}
