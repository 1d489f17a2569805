// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const (
	suite = "bookworm"
	// included are packages of Debian, beside the smallest set: what each server has,
	// and rpm, for which this is no less real a systemd.
	included = "systemd,systemd-sysv,dbus,rpm"
	// soon is longer than anything takes that a test waits for.
	soon = time.Minute
)

// container is a Debian that was booted: systemd is its process 1. It has a
// loopback of its own.
type container struct {
	root   string // its files, seen from here
	leader string // its process 1, seen from here
}

// missing says why no container can run here, or is empty.
func missing() string {
	if testing.Short() {
		return "boots containers; run without -short"
	}
	if os.Geteuid() != 0 {
		return "boots containers, which needs root"
	}
	for name, pkg := range map[string]string{"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Sprintf("needs %s on PATH: apt-get install %s", name, pkg)
		}
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		return fmt.Sprintf("needs the capabilities of root: unshare: %v: %s", err, out)
	}
	return ""
}

// boot boots a clean Debian that ends with the test.
func boot(t *testing.T) *container {
	t.Helper()
	if reason := missing(); reason != "" {
		t.Skip(reason)
	}
	dir := t.TempDir()
	c := &container{root: filepath.Join(dir, "root")}
	command(t, "cp", "-a", "--reflink=auto", debian(t), c.root)
	process, err := lab.StartProcess(lab.Command{
		Name: "container", Path: "/bin/sh", Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"},
		Args: slices.Concat([]string{"-euc", enter, "sh"}, groups(t), []string{"--", "systemd-nspawn",
			"--quiet", "--boot", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "--directory=" + c.root}),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.Stop(context.Background())) })
	require.Eventually(t, func() bool {
		select {
		case <-process.Done():
			require.FailNow(t, "the container ended", process.LogTail(50))
		default:
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", process.PID()))
		if err != nil || len(bytes.Fields(children)) != 1 {
			return false
		}
		c.leader = strings.TrimSpace(string(children))
		out, _ := c.try(t, "systemctl is-system-running --wait")
		return out == "running"
	}, 2*time.Minute, 200*time.Millisecond, "the container boots: %s", process.LogTail(50))
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := c.try(t, "journalctl --no-pager -u otelcol-infra | tail -n 60")
			t.Log(out)
		}
	})
	return c
}

// debian is the folder of a Debian that is copied for each container. It is made
// once in the user's cache, which takes a minute or two.
func debian(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	path := filepath.Join(cache, "otelcol-infra", "debian-"+suite+"-"+strings.ReplaceAll(included, ",", "-"))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	lock := flock.New(path + ".lock")
	require.NoError(t, lock.Lock())
	defer func() { require.NoError(t, lock.Unlock()) }()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	started := time.Now()
	unfinished := path + ".unfinished"
	require.NoError(t, os.RemoveAll(unfinished))
	if out, err := exec.CommandContext(t.Context(), "debootstrap", "--variant=minbase", "--include="+included, suite, unfinished).CombinedOutput(); err != nil {
		t.Skipf("debootstrap %s: %v\n%s", suite, err, out[max(0, len(out)-1000):])
	}
	require.NoError(t, os.RemoveAll(filepath.Join(unfinished, "var", "cache", "apt", "archives")))
	require.NoError(t, os.Rename(unfinished, path))
	t.Logf("debootstrap took %s", time.Since(started).Round(time.Second))
	return path
}

// command runs a program of this machine that has to end well.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s%s", name, strings.Join(args, " "), out, errors.String())
	return strings.TrimSpace(string(out))
}

// run runs a shell script in the container, which has to end well, and gives its output.
func (c *container) run(t *testing.T, script string) string {
	t.Helper()
	out, err := c.try(t, script)
	require.NoError(t, err, "%s\n%s", script, out)
	return out
}

// try is run of a script that may fail.
func (c *container) try(t *testing.T, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "--all", "--target="+c.leader, "/bin/sh", "-euc", "cd /root\n"+script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// write writes a file in the container.
func (c *container) write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(c.root, path)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.root, path), []byte(content), 0o644))
}

// put copies a file of this machine into root's home in the container.
func (c *container) put(t *testing.T, path string) {
	t.Helper()
	command(t, "cp", path, filepath.Join(c.root, "root")+"/")
}

// property is one of the service's, such as ActiveState.
func (c *container) property(t *testing.T, name string) string {
	t.Helper()
	return c.run(t, "systemctl show --value --property="+name+" otelcol-infra")
}

// enabled is what systemctl says of the service's start with the machine.
func (c *container) enabled(t *testing.T) string {
	t.Helper()
	out, _ := c.try(t, "systemctl is-enabled otelcol-infra") // fails when it is not
	return out
}

// collector is the process of the running collector, seen from the container.
func (c *container) collector(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(c.property(t, "MainPID"))
	require.NoError(t, err)
	require.NotZero(t, pid, "the collector runs")
	return pid
}

// requireHealthy requires that the collector runs, soon.
func (c *container) requireHealthy(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NotEqual(t, "failed", c.property(t, "ActiveState"))
		return c.get(t, "127.0.0.1:13134", "/status") == 200
	}, soon, 200*time.Millisecond)
}
