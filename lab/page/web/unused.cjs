// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Stands in for the packages of editors, which the page never shows: whatever is taken from it, or called, is itself.
const unused = new Proxy(function () {}, { get: () => unused, apply: () => unused });
module.exports = unused;
