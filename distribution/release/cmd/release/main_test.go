// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMistakesEndBeforeAnythingIsCompiled(t *testing.T) {
	source := t.TempDir()
	shell(t, source, "git", "init", "--quiet")
	shell(t, source, "git", "commit", "--quiet", "--allow-empty", "-m", "nothing")
	changed := t.TempDir()
	shell(t, changed, "git", "clone", "--quiet", source, ".")
	require.NoError(t, os.WriteFile(filepath.Join(changed, "new.go"), nil, 0o600))
	for _, tc := range []struct {
		name    string
		args    []string
		status  int
		message string
	}{
		{"no version", []string{"all", "--source", source}, 1, "no version: pass one, such as make release VERSION=0.2.0"},
		{"a wrong version", []string{"all", "--source", source, "--version", "1.0"}, 1, `version "1.0" is not of the form`},
		{"a key that is absent", []string{"all", "--source", source, "--version", "0.2.0", "--key", "absent.key"}, 1, "open absent.key"},
		{"an absent key of the rpm", []string{"all", "--source", source, "--version", "0.2.0", "--rpm-key", "absent.asc"}, 1, "RPM key absent.asc: open"},
		{"a key of the apk that is none", []string{"all", "--source", source, "--version", "0.2.0", "--apk-key", "main_test.go"}, 1, "APK key main_test.go: is not a key in PEM"},
		{"changes", []string{"all", "--source", changed, "--version", "0.2.0"}, 1, "?? new.go"},
		{"an unknown platform", []string{"compile", "--source", source, "--platform", "plan9/amd64"}, 2, `platform "plan9/amd64" is none of`},
		{"an argument", []string{"all", "--source", source, "0.2.0"}, 2, `all takes no arguments, got ["0.2.0"]`},
		{"an unknown command", []string{"publish"}, 2, `unknown command "publish"`},
		{"no output of ocb", []string{"licences", "--source", "../../../..", "--module", source}, 1, "which `make build` fills"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, tc.status, run(t.Context(), tc.args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), tc.message)
			assert.NotContains(t, stderr.String(), "compiling")
		})
	}
}
