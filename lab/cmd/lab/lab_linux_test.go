// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// commandVar makes the test binary the lab command.
const commandVar = "LAB_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVar) != "" {
		main()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(lab.ForkGoroutine))
}

func TestQuoteIsOneWordOfAShell(t *testing.T) {
	for _, s := range []string{"", "plain", "two words", `it's "$HOME" \ ` + "`x`", "new\nline", "'"} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+quote(s)).Output()
		require.NoError(t, err)
		require.Equal(t, s, string(out))
	}
}

func TestUsage(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		stdout string
		stderr string
	}{
		"none":      {args: nil, status: 2, stderr: "lab up"},
		"help":      {args: []string{"help"}, stdout: "LAB_CONSUL"},
		"unknown":   {args: []string{"start"}, status: 2, stderr: `unknown command "start"`},
		"flag help": {args: []string{"up", "-h"}, stderr: "-etcd-members"},
		"bad flag":  {args: []string{"up", "-x"}, status: 2, stderr: "not defined: -x"},
		"argument":  {args: []string{"env", "vault"}, status: 2, stderr: "takes no arguments"},
		"server":    {args: []string{"build", "nomad"}, status: 1, stderr: `unknown server "nomad"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := invoke(t, test.args...)
			require.Equal(t, test.status, status)
			require.Contains(t, stdout, test.stdout)
			require.Contains(t, stderr, test.stderr)
		})
	}
}

func TestWithoutALabTheErrorSaysWhatToDo(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, name := range []string{"env", "down"} {
		status, stdout, stderr := invoke(t, name)
		require.Equal(t, 1, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "start one with lab up")
	}
}

func TestStateOfAGoneLabIsRemoved(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	gone := exec.Command("/bin/true")
	require.NoError(t, gone.Run())
	for _, stale := range []*state{
		{PID: gone.Process.Pid, Started: "1"},
		{PID: os.Getpid(), Started: "1"}, // a reused PID
	} {
		path, err := statePath()
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, stale.save())
		_, err = runningState()
		require.ErrorIs(t, err, errNoLab)
		require.NoFileExists(t, path)
	}
}

func TestOneLabAtATime(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	own, err := claimState()
	require.NoError(t, err)
	_, err = claimState()
	require.ErrorContains(t, err, "already running")
	status, _, stderr := invoke(t, "env")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "still starting")

	own.Env = []string{"VAULT_TOKEN=it's"}
	require.NoError(t, own.save())
	path, err := statePath()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	status, stdout, _ := invoke(t, "env")
	require.Zero(t, status)
	require.Equal(t, "export VAULT_TOKEN='it'\\''s'\n", stdout)
	require.NoError(t, own.remove())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestUpEnvDown(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers; run without -short")
	}
	for name, variable := range map[string]string{"etcd": "LAB_ETCD", "vault": "LAB_VAULT"} {
		path, err := lab.Binary(t.Context(), name, os.Stderr)
		require.NoError(t, err)
		t.Setenv(variable, path) // as the cache moves with the state file
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var stdout, stderr bytes.Buffer
	up := exec.Command(os.Args[0], "up", "vault", "etcd")
	up.Env = append(os.Environ(), commandVar+"=1")
	up.Stdout, up.Stderr = &stdout, &stderr
	up.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, up.Start())
	var env string
	require.Eventually(t, func() bool {
		var status int
		status, env, _ = invoke(t, "env")
		return status == 0
	}, 2*time.Minute, 50*time.Millisecond)
	require.Contains(t, env, "export ETCD_ENDPOINTS='http://127.0.0.1:")
	status, _, stderrDown := invoke(t, "down")
	require.Zero(t, status, stderrDown)
	require.NoError(t, up.Wait(), stderr.String())
	require.Contains(t, stdout.String(), "VAULT_ADDR           http://127.0.0.1:")
	_, token, _ := strings.Cut(env, "VAULT_TOKEN='")
	token, _, _ = strings.Cut(token, "'")
	require.NotEmpty(t, token)
	require.NotContains(t, stdout.String()+stderr.String(), token)
	status, _, _ = invoke(t, "env")
	require.Equal(t, 1, status)
}

// invoke runs the command within this process.
func invoke(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}
