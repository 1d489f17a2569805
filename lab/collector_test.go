// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCollectorRunsWithItsConfigs(t *testing.T) {
	ports, err := FreePorts(1)
	require.NoError(t, err)
	c, err := StartCollector(t.Context(), CollectorOptions{
		Binary:   os.Args[0],
		Configs:  []string{"a.yaml", "yaml:receivers::nop:"},
		Args:     []string{"--feature-gates=x"},
		Env:      []string{collectorVar + "=" + loopback(ports[0])},
		ReadyURL: "http://" + loopback(ports[0]) + "/health",
	})
	require.NoError(t, err)
	require.Equal(t, "[--config=a.yaml --config=yaml:receivers::nop: --feature-gates=x]", c.LogTail(1))
	require.NoError(t, c.Restart(t.Context()))
	require.NoError(t, c.Stop(t.Context()))
	require.NoDirExists(t, c.dir)
}

func TestCollectorThatCannotRunSaysWhy(t *testing.T) {
	_, err := StartCollector(t.Context(), CollectorOptions{Binary: os.Args[0]})
	require.ErrorContains(t, err, "set it to that of its health_check extension")
	_, err = StartCollector(t.Context(), CollectorOptions{Binary: "/no/such", ReadyURL: "http://127.0.0.1:1"})
	require.ErrorContains(t, err, "build its binary first")
	_, err = StartCollector(t.Context(), CollectorOptions{Binary: fakeExecutable(t, "col"), ReadyURL: "http://127.0.0.1:1", Dir: t.TempDir()})
	require.ErrorContains(t, err, "collector ended before it was ready: exit status 0")
}

func TestCollectorThatFailsIsNoticed(t *testing.T) {
	dir := t.TempDir()
	crashes := filepath.Join(dir, "crashes")
	require.NoError(t, os.WriteFile(crashes, []byte("#!/bin/sh\necho panic: no\nexit 2\n"), 0o700))
	server, err := newServer("collector", crashes, dir)
	require.NoError(t, err)
	c := &Collector{Server: server}
	server.ready = answersOK("http://127.0.0.1:1")
	require.NoError(t, c.Stop(t.Context()), "it was not started")
	require.Error(t, server.start(t.Context()))
	require.ErrorContains(t, c.Stop(t.Context()), "collector ended with exit status 2:\npanic: no")
	require.ErrorContains(t, c.Restart(t.Context()), "exit status 2")
}
