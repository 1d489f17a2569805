// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package readmetest finds out whether a component's README names all there is.
package readmetest

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Read returns the README of the package under test.
func Read(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(content)
}

// RequireNames requires that the README has each of the names, as code.
func RequireNames(t *testing.T, names ...string) {
	t.Helper()
	text := Read(t)
	var missing []string
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			missing = append(missing, name)
		}
	}
	assert.Empty(t, missing, "the README does not name them")
}

// Settings returns the keys of a configuration, as a::b, without those of
// structs that come from the collector or are generated.
func Settings[C any]() []string { return settings(reflect.TypeFor[C](), "") }

func settings(config reflect.Type, prefix string) (all []string) {
	for i := range config.NumField() {
		field := config.Field(i)
		key, squash := strings.CutSuffix(field.Tag.Get("mapstructure"), ",squash")
		foreign := strings.Contains(field.Type.PkgPath(), "go.opentelemetry.io") || strings.HasSuffix(field.Type.PkgPath(), "/metadata")
		switch {
		case squash && foreign:
		case squash:
			all = append(all, settings(field.Type, prefix)...)
		case field.Type.Kind() == reflect.Struct && !foreign:
			all = append(all, settings(field.Type, prefix+key+"::")...)
		default:
			all = append(all, prefix+key)
		}
	}
	return all
}
