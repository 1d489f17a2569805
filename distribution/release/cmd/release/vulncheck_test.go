// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vulncheck runs `make vulncheck` on the collector that is built, with a database of its own.
func vulncheck(t *testing.T, database string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "distribution/_build/otelcol-infra"), "build the collector first: make build")
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "--old-file=build", "vulncheck", "VULNDB="+database)
	cmd.Dir = root
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// The database is made up: it has one vulnerability, in yaml.Unmarshal.
func TestVulncheckFindsAVulnerabilityInTheStrippedBinary(t *testing.T) {
	folder, err := filepath.Abs("testdata/vulnerabilities")
	require.NoError(t, err)
	output, err := vulncheck(t, "file://"+filepath.ToSlash(folder))
	require.Error(t, err)
	assert.Contains(t, output, "GO-2026-9999")
	assert.Contains(t, output, "yaml.Unmarshal")
	assert.NotContains(t, output, "nothing is known")
}

func TestVulncheckSaysWhenItsDatabaseIsNotReachable(t *testing.T) {
	output, err := vulncheck(t, "file:///no/such/folder")
	require.Error(t, err)
	assert.Contains(t, output, "nothing is known about vulnerabilities: file:///no/such/folder gave no answer")
}
