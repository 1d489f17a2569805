// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPrefixesThatConsulRewritesAreRefused(t *testing.T) {
	for prefix, read := range map[string]string{
		"locks//": "locks/", "locks//x": "locks/x", "//": "", "locks/./": "locks/", "locks/.": "locks", "./": "", ".": "",
		"locks/../": "", "locks/..": "", "a/../locks/": "locks/", "..": "/v1", "../": "/v1/", "../../x": "/x",
	} {
		err := Config{Prefixes: []string{"config/", prefix}}.ValidatePrefixes()
		if prefix == "//" {
			require.ErrorContains(t, err, `kv::prefixes[1] "//" begins with a slash`)
			continue
		}
		require.ErrorContains(t, err, `kv::prefixes[1] is "`+prefix+`", which Consul reads as "`+read+`"`)
	}
	for _, prefix := range []string{"a\nb", "a\u00a0b", "a\u200bb"} {
		require.ErrorContains(t, Config{Prefixes: []string{prefix}}.ValidatePrefixes(), "has a character that does not print")
	}
	for _, prefix := range []string{
		"", "locks", "locks/", "locks/x", "locks/.x", "locks/x.", "locks/..x", "locks/.../", "a b/", "?", "a?b", "a#b", "%2F", "%2e%2e/", "ü/",
	} {
		assert.NoError(t, Config{Prefixes: []string{prefix}}.ValidatePrefixes(), prefix)
	}
}
