// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package build compiles the collector for the platforms that are released,
// with its version in it. The same commit, version and Go toolchain give the
// same bits, in whatever folder.
package build
