// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
)

var stamp = build.Stamp{Version: "0.2.0", Time: time.Date(2026, 11, 30, 22, 30, 0, 0, time.UTC)}

// checkout has a chart and a file of an editor that git ignores.
func checkout(t *testing.T, description string) string {
	t.Helper()
	source := t.TempDir()
	dir := filepath.Join(source, Folder)
	for name, content := range map[string]string{
		"Chart.yaml": description, "templates/agent.yaml": "kind: DaemonSet\n", "templates/agent.yaml.swp": "", ".gitignore": "*.swp\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	output, err := exec.Command("git", "init", "--quiet", source).CombinedOutput()
	require.NoError(t, err, "%s", output)
	return source
}

func TestTheChartHasTheVersionOfTheRelease(t *testing.T) {
	source := checkout(t, "name: otelcol-infra\nversion: 0.0.0-dev # of no release\nappVersion: 0.0.0-dev\nkubeVersion: '>=1.30'\n")
	path, err := Pack(t.Context(), source, source, stamp)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(source, "otelcol-infra-0.2.0.tgz"), path)
	list, err := exec.Command("tar", "-tf", path).Output()
	require.NoError(t, err)
	assert.Equal(t, "otelcol-infra/.gitignore\notelcol-infra/Chart.yaml\notelcol-infra/templates/agent.yaml\n", string(list))
	description, err := exec.Command("tar", "-xOf", path, "otelcol-infra/Chart.yaml").Output()
	require.NoError(t, err)
	assert.Equal(t, "name: otelcol-infra\nversion: 0.2.0\nappVersion: 0.2.0\nkubeVersion: '>=1.30'\n", string(description))
}

func TestAChartWithoutAVersionIsRefused(t *testing.T) {
	source := checkout(t, "name: otelcol-infra\nversion: 0.0.0-dev\n")
	_, err := Pack(t.Context(), source, source, stamp)
	require.ErrorContains(t, err, "Chart.yaml has no version and appVersion")
}

func TestACheckoutWithoutAChartHasNone(t *testing.T) {
	path, err := Pack(t.Context(), t.TempDir(), t.TempDir(), stamp)
	require.NoError(t, err)
	assert.Empty(t, path)
}
