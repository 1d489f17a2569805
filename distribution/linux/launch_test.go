// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each deployment has a limit of its own, and Go's own limit is 80 % of it.
func TestTheMemoryLimitIsThatOfTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	script, err := os.ReadFile("launch.sh")
	require.NoError(t, err)
	shows := filepath.Join(dir, "shows")
	require.NoError(t, os.WriteFile(shows, []byte("#!/bin/sh\necho $MEMORY_LIMIT_MIB $GOMEMLIMIT\n"), 0o700))
	for before, after := range map[string]string{"etc=/etc/otelcol-infra\n": "etc=" + dir + "\n", "bin=/usr/bin/otelcol-infra\n": "bin=" + shows + "\n"} {
		require.Contains(t, string(script), before)
		script = []byte(strings.Replace(string(script), before, after, 1))
	}
	launch := filepath.Join(dir, "launch")
	require.NoError(t, os.WriteFile(launch, script, 0o700))
	require.NoError(t, os.CopyFS(dir, os.DirFS("../config")))
	standalone, err := os.ReadFile("../../collector-config.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "standalone.yaml"), standalone, 0o600))

	for _, c := range []struct{ name, config, limit, want string }{
		{"standalone", "standalone.yaml", "", "512 409MiB"},
		{"agent", "agent.yaml agent-etcd.yaml", "", "256 204MiB"},
		{"gateway", "gateway.yaml", "", "1024 819MiB"},
		{"a limit that is set", "gateway.yaml", "2000", "2000 1600MiB"},
		{"a configuration without a limit", "agent-etcd.yaml", "", "512 409MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := exec.Command("sh", launch, "run")
			run.Env = append(os.Environ(), "CONFIG="+c.config, "MEMORY_LIMIT_MIB="+c.limit, "GOMEMLIMIT=")
			output, err := run.CombinedOutput()
			require.NoError(t, err, string(output))
			assert.Equal(t, c.want, strings.TrimSpace(string(output)))
		})
	}
}
