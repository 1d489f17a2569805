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

// installed returns launch.sh as it would be installed below dir, with the shipped
// configurations, and with a program in place of the collector that prints its limits.
func installed(t *testing.T, dir string) string {
	t.Helper()
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
	return launch
}

func run(launch, action string, env ...string) (string, error) {
	cmd := exec.Command("sh", launch, action)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	output, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// Each deployment has a limit of its own, and Go's own limit is 80 % of it.
func TestTheMemoryLimitIsThatOfTheConfiguration(t *testing.T) {
	launch := installed(t, t.TempDir())
	for _, c := range []struct{ name, config, limit, want string }{
		{"standalone", "standalone.yaml", "", "512 409MiB"},
		{"agent", "agent.yaml agent-etcd.yaml", "", "256 204MiB"},
		{"gateway", "gateway.yaml", "", "1024 819MiB"},
		{"a limit that is set", "gateway.yaml", "2000", "2000 1600MiB"},
		{"a configuration without a limit", "agent-etcd.yaml", "", "512 409MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			output, err := run(launch, "run", "CONFIG="+c.config, "MEMORY_LIMIT_MIB="+c.limit)
			require.NoError(t, err, output)
			assert.Equal(t, c.want, output)
		})
	}
	for _, wrong := range []string{"1g", "0", "0512", "-1"} {
		output, err := run(launch, "run", "CONFIG=gateway.yaml", "MEMORY_LIMIT_MIB="+wrong)
		require.Error(t, err, wrong)
		assert.Contains(t, output, "MEMORY_LIMIT_MIB in ")
	}
}

func TestTheCheckNamesAVariableThatIsNotSet(t *testing.T) {
	dir := t.TempDir()
	launch := installed(t, dir)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tls"), 0o700))
	for _, name := range []string{"ca.crt", "tls.crt", "tls.key"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tls", name), nil, 0o600))
	}
	for _, c := range []struct {
		name, config, missing string
		env                   []string
	}{
		{"standalone", "standalone.yaml", "", nil},
		{"a gateway without a list", "gateway.yaml", "GATEWAYS", []string{"JAEGER_OTLP_ENDPOINT=a:1"}},
		{"a gateway without Jaeger", "gateway.yaml", "JAEGER_OTLP_ENDPOINT", []string{"GATEWAYS=[a:1]"}},
		{"a gateway with all", "gateway.yaml", "", []string{"GATEWAYS=[a:1]", "JAEGER_OTLP_ENDPOINT=a:1"}},
		{"a gateway with DNS", "gateway.yaml gateway-dns.yaml", "", []string{"GATEWAYS_DNS=a", "JAEGER_OTLP_ENDPOINT=a:1"}},
		{"events", "gateway.yaml gateway-events-otlp.yaml", "EVENTS_OTLP_ENDPOINT", []string{"GATEWAYS=[a:1]", "JAEGER_OTLP_ENDPOINT=a:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			output, err := run(launch, "check", append(c.env, "CONFIG="+c.config, "STATE_DIRECTORY="+dir)...)
			if c.missing == "" {
				require.NoError(t, err, output)
				return
			}
			require.Error(t, err)
			assert.Contains(t, output, c.missing+" is not set, and the configuration needs it: set it in ")
			assert.NotContains(t, output, "\n")
		})
	}
}
