// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// published is a release of this checkout for linux/amd64, made once for all tests.
type published struct {
	source    string // clean checkout of what this checkout has now, tagged v0.2.0
	folder    string // of the release
	secret    string // minisign's key
	publicKey string // file
}

var (
	once    published
	onceDir string
)

func TestMain(m *testing.M) {
	status := m.Run()
	if onceDir != "" {
		if err := os.RemoveAll(onceDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(status)
}

// released returns the release, and makes it first if need be.
func released(t *testing.T) published {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a release; run make test")
	}
	if _, err := exec.LookPath("minisign"); err != nil {
		t.Skip("needs minisign on PATH: apt-get install minisign")
	}
	if once.folder != "" {
		return once
	}
	if onceDir == "" {
		var err error
		onceDir, err = os.MkdirTemp("", "otelcol-infra-release-") //nolint:usetesting // other tests use it when this one has ended
		require.NoError(t, err)
	}
	p := published{
		source: filepath.Join(onceDir, "source"), folder: filepath.Join(onceDir, "release"),
		secret: filepath.Join(onceDir, "minisign.key"), publicKey: filepath.Join(onceDir, "otelcol-infra.pub"),
	}
	shell(t, onceDir, "minisign", "-G", "-W", "-s", p.secret, "-p", p.publicKey)
	copyCheckout(t, p.source)
	publish(t, p.source, p.folder, p.secret)
	once = p
	return once
}

// publish makes a release of source for linux/amd64.
func publish(t *testing.T, source, folder, key string) {
	t.Helper()
	var stderr bytes.Buffer
	status := run(t.Context(), []string{
		"all", "--version", "0.2.0", "--key", key, "--platform", "linux/amd64", "--source", source, "--output", folder,
	}, &stderr, &stderr)
	require.Zero(t, status, "%s", &stderr)
	t.Logf("%s", &stderr)
}

// copyCheckout makes a clean checkout of all that this one holds, whether it is
// committed or not.
func copyCheckout(t *testing.T, target string) {
	t.Helper()
	root := strings.TrimSpace(shell(t, ".", "git", "rev-parse", "--show-toplevel"))
	shell(t, root, "git", "clone", "--quiet", "--shared", "--no-checkout", root, target)
	list := filepath.Join(t.TempDir(), "files")
	require.NoError(t, os.WriteFile(list, []byte(shell(t, root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")), 0o600))
	shell(t, root, "bash", "-c", `tar --create --null --files-from "$0" --ignore-failed-read 2>/dev/null | tar --extract --directory "$1"`, list, target)
	shell(t, target, "git", "add", "--all")
	shell(t, target, "git", "commit", "--quiet", "--allow-empty", "-m", "what is checked out here")
	shell(t, target, "git", "tag", "v0.2.0")
}

// shell runs a command to its end and returns what it printed.
func shell(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	return shellWith(t, nil, dir, name, args...)
}

// shellWith is shell with more in the environment.
func shellWith(t *testing.T, env []string, dir string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s %s:\n%s%s", name, strings.Join(args, " "), &stdout, &stderr)
	return stdout.String()
}
