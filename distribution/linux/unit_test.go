// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package linux tests the files that packages for Linux hold. Whether they make a
// service that can be installed, upgraded and removed is tested in test/packages.
package linux

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exposure is what systemd-analyze security gives the unit, in tenths: 0 is a
// service that can do nothing, 100 one without any restriction.
const exposure = "11"

// analyze runs systemd-analyze on the unit, in which a program that exists replaces
// the ones that are not installed.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze on PATH: apt-get install systemd")
	}
	unit, err := os.ReadFile("otelcol-infra.service")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "otelcol-infra.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(unit), "/usr/libexec/otelcol-infra/launch", "/bin/sh")), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, append(args, file)...).CombinedOutput()
	return string(out), err
}

func TestTheUnitIsValid(t *testing.T) {
	out, err := analyze(t, "verify", "--man=no")
	require.NoError(t, err, out)
	assert.Empty(t, out)
}

func TestTheUnitIsHardened(t *testing.T) {
	out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+exposure)
	require.NoError(t, err, out)
}
