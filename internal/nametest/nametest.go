// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package nametest tests the names that a component declares.
package nametest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// NoNameIsAlsoANamespace tests the attributes and metrics in metadata.yaml: a backend that
// keeps documents refuses one with a value at consul.check.status and another at
// consul.check.status.old.
func NoNameIsAlsoANamespace(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile("metadata.yaml")
	require.NoError(t, err)
	var declared struct {
		ResourceAttributes map[string]any `yaml:"resource_attributes"`
		Attributes         map[string]any
		Metrics            map[string]any
	}
	require.NoError(t, yaml.Unmarshal(content, &declared))
	names := slices.Concat(
		slices.Collect(maps.Keys(declared.ResourceAttributes)),
		slices.Collect(maps.Keys(declared.Attributes)),
		slices.Collect(maps.Keys(declared.Metrics)))
	require.Greater(t, len(names), 50)
	for _, name := range names {
		for _, other := range names {
			assert.False(t, strings.HasPrefix(other, name+"."), "%s is a name and the namespace of %s", name, other)
		}
	}
}
