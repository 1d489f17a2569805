// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package exemplarprocessor makes metrics lead to the trace behind them: it
// mends the exemplars that they have, and attaches spans that the same
// collector has seen.
package exemplarprocessor
