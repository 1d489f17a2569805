// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// makeRun runs `make run` in a folder that looks like ours, on free ports.
func makeRun(t *testing.T, env ...string) (dir, otlp string, collector int) {
	t.Helper()
	binary(t)
	path, err := exec.LookPath("make")
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir = t.TempDir()
	for _, name := range []string{"Makefile", "collector-config.yaml", "distribution"} {
		require.NoError(t, os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)))
	}
	var run *lab.Process
	require.NoError(t, lab.OnFreePorts(t.Context(), 10, func(ports []int) error {
		at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
		otlp = at(4)
		run, err = lab.StartProcess(lab.Command{
			// The binary is as it is.
			Name: "make-run", Path: path, Args: []string{"-s", "-o", "build", "run"}, Dir: dir,
			Env: append([]string{
				"PATH=" + os.Getenv("PATH"),
				"CONSUL_HTTP_ADDR=" + at(0), "ETCD_ENDPOINTS=http://" + at(1), "VAULT_ADDR=http://" + at(2), "JAEGER_OTLP_ENDPOINT=" + at(3),
				"OTLP_HTTP_ENDPOINT=" + otlp, "OTLP_GRPC_ENDPOINT=" + at(5), "HEALTH_CHECK_ENDPOINT=" + at(6),
				"PROMETHEUS_EXPORTER_ENDPOINT=" + at(7), "APPLICATIONS_EXPORTER_ENDPOINT=" + at(8), fmt.Sprintf("TELEMETRY_PORT=%d", ports[9]),
			}, env...),
		})
		if err != nil {
			return err
		}
		for !answersOK(t, "http://"+at(6)+"/status") {
			select {
			case <-run.Done():
				return fmt.Errorf("make run ended:\n%s", run.LogTail(50))
			case <-time.After(50 * time.Millisecond):
			}
		}
		return nil
	}))
	t.Cleanup(func() { require.NoError(t, run.Stop(context.Background())) })
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", run.PID()))
	require.NoError(t, err)
	_, err = fmt.Sscan(string(children), &collector)
	require.NoError(t, err)
	return dir, otlp, collector
}

func answersOK(t *testing.T, url string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// requirePrivate requires that nobody but the user can read a file: by its own mode, or as the folder is closed.
func requirePrivate(t *testing.T, path string) {
	t.Helper()
	file, err := os.Stat(path)
	require.NoError(t, err)
	folder, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	require.True(t, file.Mode().Perm()&0o077 == 0 || folder.Mode().Perm()&0o077 == 0, "%s: %s in %s", path, file.Mode(), folder.Mode())
}

// Whoever runs it with make has state and events that nobody else can read, and limits for its memory.
func TestMakeRun(t *testing.T) {
	elsewhere := t.TempDir()
	for name, tc := range map[string]struct {
		env               []string
		state, events     string // from the working directory, if not absolute
		limitMiB, goLimit string
	}{
		"default": {nil, "otelcol-infra-state", "otelcol-infra-state/events.jsonl", "512", "409MiB"},
		"elsewhere": {[]string{"STATE_DIRECTORY=" + elsewhere + "/a/state", "EVENTS_FILE=" + elsewhere + "/b/events.jsonl", "MEMORY_LIMIT_MIB=1000"},
			elsewhere + "/a/state", elsewhere + "/b/events.jsonl", "1000", "800MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, otlp, collector := makeRun(t, tc.env...)
			in := func(path string) string {
				if filepath.IsAbs(path) {
					return path
				}
				return filepath.Join(dir, path)
			}
			pushEvent(t, otlp, in(tc.events), "number 4711")
			requirePrivate(t, in(tc.events))
			for _, file := range []string{"exporter_otlp_grpc_jaeger_traces", "receiver_consul_", "receiver_etcd_", "receiver_vault_"} {
				requirePrivate(t, filepath.Join(in(tc.state), file))
			}
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", collector))
			require.NoError(t, err)
			assert.Contains(t, string(env), "\x00GOMEMLIMIT="+tc.goLimit+"\x00", "80 % of the limit")
			assert.Contains(t, readFile(dir, "make-run.log"), `"limit_mib": `+tc.limitMiB)
		})
	}
}
