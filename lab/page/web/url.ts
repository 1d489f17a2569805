// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// What was chosen is part of the URL, so that it can be shared: the trace that is open, its span, and the time range.
export function chosen(name: string): string | undefined {
  return new URLSearchParams(location.search).get(name) ?? undefined;
}

/** Changes some of it and keeps the rest. */
export function choose(changes: Record<string, string | undefined>) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) query.delete(name);
    else query.set(name, value);
  }
  history.pushState(null, "", query.size > 0 ? "/?" + query : "/");
}
