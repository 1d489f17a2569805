// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package configentry

// Entry is a configuration entry, known by kind/name.
type Entry struct {
	Kind, Name string
	Index      uint64 // ModifyIndex
}
