// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

// Bounds of names.
const (
	maxNames    = 256
	longestName = 64
)

// names keeps short texts that most entries have in common, such as those of
// operations and mounts, so that each is copied once. When there are too many it
// begins anew.
type names map[string]string

// of returns a name as a string that holds none of its memory.
func (n names) of(name []byte) string {
	if known, ok := n[string(name)]; ok {
		return known
	}
	text := bounded(name)
	if len(name) > longestName {
		return text
	}
	if len(n) >= maxNames {
		clear(n)
	}
	n[string(name)] = text
	return text
}
