// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package envtest finds the environment variables that the source of a library names, so that a test of all of them
// fails when a new version of the library has a new one.
package envtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Variables returns the names with the prefix that are literals in the source of the packages which `go list` finds
// with the arguments: `-find` and patterns for all packages of modules, or `-deps` for those that a package is made
// of.
func Variables(t *testing.T, prefix string, args ...string) []string {
	t.Helper()
	name := regexp.MustCompile("^" + prefix + "[A-Z0-9_]*[A-Z0-9]$")
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", "{{.Dir}}"}, args...)...)
	dirs, err := list.Output()
	require.NoError(t, err, "%v", list)
	names := map[string]bool{}
	for dir := range strings.FieldsSeq(string(dirs)) {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(parsed, func(node ast.Node) bool {
				if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if value, err := strconv.Unquote(literal.Value); err == nil && name.MatchString(value) {
						names[value] = true
					}
				}
				return true
			})
		}
	}
	require.NotEmpty(t, names, "names that begin with %s in %v", prefix, args)
	return slices.Sorted(maps.Keys(names))
}

// malformed is a value that no variable can have.
const malformed = "planted:// %zz"

// RequireNoEffect requires that the same is observed with each of the variables as without: with its value, with
// one that is malformed, and with all of them. What is wanted is nil for what is observed first, without any
// variable.
func RequireNoEffect[T any](t *testing.T, variables map[string]string, observe func(t *testing.T, wanted *T) T) {
	t.Helper()
	Clear(t, variables)
	without := observe(t, nil)
	set := func(name string, values map[string]string) {
		t.Run(name, func(t *testing.T) {
			for variable, value := range values {
				t.Setenv(variable, value)
			}
			assert.Equal(t, without, observe(t, &without))
		})
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		set(name, map[string]string{name: variables[name]})
		set(name+" that is malformed", map[string]string{name: malformed})
	}
	set("all", variables)
}

// Clear has the test begin as if none of the variables were set.
func Clear(t *testing.T, variables map[string]string) {
	t.Helper()
	for name := range variables {
		t.Setenv(name, "") // No library that is tested distinguishes it from none.
	}
}

// Without returns the variables without those of the names.
func Without(variables map[string]string, names []string) map[string]string {
	variables = maps.Clone(variables)
	for _, name := range names {
		delete(variables, name)
	}
	return variables
}

// child is set in the environment of a process that Rerun starts.
const child = "OTELCOL_INFRA_TEST_CHILD"

// IsChild reports whether the test runs in a process that Rerun started.
func IsChild() bool { return os.Getenv(child) != "" }

// Rerun runs the test in a process of its own that has the variables in its environment, each as NAME=value: some are
// read only once, when a process starts. The test must succeed there.
func Rerun(t *testing.T, variables ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(append(os.Environ(), child+"=1"), variables...)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "--- PASS: "+t.Name(), "it was not run")
}
