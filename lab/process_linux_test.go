// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessStopsOnSIGTERM(t *testing.T) {
	p := startScript(t, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	waitForLog(t, p, "up")
	require.NoError(t, p.Stop(t.Context()))
	require.Equal(t, "up\nbye", p.LogTail(10))
	require.NoError(t, p.Stop(t.Context()), "stopping twice does nothing")
	require.NoError(t, p.Kill(), "nor does killing what has ended")
}

func TestProcessThatIgnoresSIGTERMIsKilled(t *testing.T) {
	p := startScript(t, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
	waitForLog(t, p, "up")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // do not wait out the grace
	defer cancel()
	require.ErrorContains(t, p.Stop(ctx), "script had to be killed")
	<-p.Done()
}

func TestSuspendedProcessStops(t *testing.T) {
	p := startScript(t, `trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	waitForLog(t, p, "up")
	require.NoError(t, p.Suspend())
	require.NoError(t, p.Stop(t.Context()))
}

func TestProcessThatEndsEarlyShowsItsLog(t *testing.T) {
	p := startScript(t, `echo no such thing >&2; exit 3`)
	err := waitReady(t.Context(), p, func(context.Context) error { return errors.New("not yet") })
	require.ErrorContains(t, err, "script ended before it was ready: exit status 3")
	require.ErrorContains(t, err, p.LogPath())
	require.ErrorContains(t, err, "no such thing")
	require.NotErrorIs(t, err, errAddressTaken)
}

func TestProcessWithoutItsPortSaysSo(t *testing.T) {
	p := startScript(t, `echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 1`)
	err := waitReady(t.Context(), p, func(context.Context) error { return errors.New("not yet") })
	require.ErrorIs(t, err, errAddressTaken)
}

func TestProcessNotReadyInTimeSaysWhatItLacked(t *testing.T) {
	p := startScript(t, `echo up; sleep 60`)
	waitForLog(t, p, "up")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	lacks := errors.New("no leader")
	err := waitReady(ctx, p, func(context.Context) error { return lacks })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, lacks)
	require.NoError(t, p.Kill())
}

func TestLogTailIsThatOfTheCurrentRun(t *testing.T) {
	dir := t.TempDir()
	for _, word := range []string{"first", "second"} {
		p := startScriptIn(t, dir, "echo a; echo b; echo "+word)
		<-p.Done()
		require.Equal(t, "b\n"+word, p.LogTail(2))
		require.Equal(t, "a\nb\n"+word, p.LogTail(9))
	}
}

func TestProcessEndsWithKilledParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVar+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, line)
	require.True(t, alive(child))
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return !alive(child) }, time.Minute, 10*time.Millisecond)
}

// alive says whether there is such a process that has not ended. One that has
// may stay as a zombie where PID 1 does not reap.
func alive(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

func startScript(t *testing.T, script string) *Process {
	t.Helper()
	return startScriptIn(t, t.TempDir(), script)
}

func startScriptIn(t *testing.T, dir, script string) *Process {
	t.Helper()
	path := filepath.Join(dir, "script.sh")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o600))
	p, err := StartProcess(Command{Name: "script", Path: "/bin/sh", Args: []string{path}, Dir: dir, Env: os.Environ()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	return p
}

func waitForLog(t *testing.T, p *Process, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(p.LogTail(10), text) }, time.Minute, 5*time.Millisecond)
}
