// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// checkout makes a git repository with one commit, and returns its folder and commit.
func checkout(t *testing.T) (dir, commit string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content\n"), 0o600))
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "file"}, {"commit", "--quiet", "-m", "file: add"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
			"GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=2026-12-01T00:30:00+02:00") // 30 November, UTC
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	head, err := git(t.Context(), dir, "rev-parse", "HEAD")
	require.NoError(t, err)
	return dir, head[:40]
}

func TestAStampIsVersionDayAndCommit(t *testing.T) {
	dir, commit := checkout(t)
	stamp, err := ReadStamp(t.Context(), dir, "0.2.0", false)
	require.NoError(t, err)
	assert.Equal(t, Stamp{
		Version: "0.2.0", Full: "0.2.0+20261130." + commit[:12], Commit: commit,
		Time: time.Date(2026, 11, 30, 22, 30, 0, 0, time.UTC),
	}, stamp)
}

func TestACheckoutWithChangesIsRefusedUnlessAllowed(t *testing.T) {
	dir, commit := checkout(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new.go"), nil, 0o600))
	_, err := ReadStamp(t.Context(), dir, "0.2.0", false)
	require.ErrorContains(t, err, "?? new.go")
	require.ErrorContains(t, err, "--allow-dirty")
	stamp, err := ReadStamp(t.Context(), dir, "0.2.0", true)
	require.NoError(t, err)
	assert.Equal(t, "0.2.0+20261130."+commit[:12]+".dirty", stamp.Full)
}

func TestVersions(t *testing.T) {
	dir, _ := checkout(t)
	for version, message := range map[string]string{
		"0.2.0":      "",
		"1.0.0-rc.1": "",
		Development:  "",
		"1.0.0-rc-1": "not of the form",
		"1.0.0-new":  "not of the form",
		"":           "make release VERSION=0.2.0",
		"v0.2.0":     "leave out the v",
		"0.2":        "not of the form",
		"0.2.0.1":    "not of the form",
		"latest":     "not of the form",
		"0.2.0+a":    "the release adds day and commit",
	} {
		_, err := ReadStamp(t.Context(), dir, version, false)
		if message == "" {
			require.NoError(t, err, version)
		} else {
			require.ErrorContains(t, err, message, version)
		}
	}
}

func TestAFolderWithoutGitIsRefused(t *testing.T) {
	_, err := ReadStamp(t.Context(), t.TempDir(), "0.2.0", false)
	require.ErrorContains(t, err, "a release needs a git checkout")
}

func TestTheManifestHasTheVersionOfDevelopment(t *testing.T) {
	var manifest struct {
		Dist struct{ Version string }
	}
	content, err := os.ReadFile("../../../builder-config.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &manifest))
	assert.Equal(t, Development, manifest.Dist.Version)
}

func TestPlatforms(t *testing.T) {
	platforms, err := ParsePlatforms("linux/arm64,windows/amd64")
	require.NoError(t, err)
	assert.Equal(t, []Platform{{"linux", "arm64"}, {"windows", "amd64"}}, platforms)
	_, err = ParsePlatforms("linux")
	require.ErrorContains(t, err, `platform "linux" is none of [linux/amd64 `)
}

func TestWhatAUserHasSetDoesNotReachTheBuild(t *testing.T) {
	t.Setenv("GOFLAGS", "-race")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOOS", "plan9")
	t.Setenv("dist.name", "other")
	env := Environment(Platform{"linux", "arm64"})
	for _, setting := range []string{"GOFLAGS=-race", "GOAMD64=v3", "GOOS=plan9", "dist.name=other"} {
		assert.NotContains(t, env, setting)
	}
	assert.Contains(t, env, "GOOS=linux")
	assert.Contains(t, env, "GOARCH=arm64")
}
