// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Stands in for mathjs, of which the components use only this.
export const gcdDependencies = {};
export const roundDependencies = {};

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

function round(value: number, decimals = 0): number {
  return Number(value.toFixed(decimals));
}

export const create = () => ({ gcd, round });
