// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// added is what the next version's default configuration has at its end.
const added = "# A later version adds something here.\n"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(lab.ForkGoroutine), goleak.Cleanup(func(code int) {
		for _, release := range releases {
			_ = os.RemoveAll(release.dir)
		}
		os.Exit(code)
	}))
}

// release is a version's packages.
type release struct {
	dir           string
	deb, rpm, apk string
	// running is the version that the collector prints and reports.
	running string
}

var (
	releases  []*release
	buildOnce sync.Once
)

// build makes the packages of the two versions that the guides name, each with a
// collector of its own.
func build(t *testing.T) (first, next *release) {
	t.Helper()
	if reason := missing(); reason != "" {
		t.Skip(reason)
	}
	buildOnce.Do(func() {
		a, b := versions(t)
		releases = []*release{buildRelease(t, a, ""), buildRelease(t, b, added)}
	})
	require.Len(t, releases, 2, "packages could not be built, see the first test that failed")
	return releases[0], releases[1]
}

func buildRelease(t *testing.T, version, addition string) *release {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "otelcol-infra-packages-") //nolint:usetesting // for all tests, which TestMain ends
	require.NoError(t, err)
	module := filepath.Join(root, "distribution", "release")
	command(t, "go", "-C", module, "run", "./cmd/release", "compile",
		"--version", version, "--platform", "linux/"+runtime.GOARCH, "--allow-dirty", "--output", dir)
	binary := filepath.Join(dir, "binaries", "linux_"+runtime.GOARCH, "otelcol-infra")
	running := strings.TrimPrefix(command(t, binary, "--version"), "otelcol-infra version ")
	require.True(t, strings.HasPrefix(running, version+"+"), running)

	source := filepath.Join(dir, "source")
	require.NoError(t, os.MkdirAll(source, 0o755))
	command(t, "cp", "-r", filepath.Join(root, "LICENSE"), filepath.Join(root, "collector-config.yaml"), source)
	require.NoError(t, os.Mkdir(filepath.Join(source, "distribution"), 0o755))
	for _, name := range []string{"linux", "config", "status.yaml", "events-otlp.yaml", "vault-policy.hcl"} {
		path := filepath.Join(root, "distribution", name)
		if _, err := os.Stat(path); err == nil {
			command(t, "cp", "-r", path, filepath.Join(source, "distribution")+"/")
		}
	}
	file, err := os.OpenFile(filepath.Join(source, "collector-config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(addition)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	paths := strings.Fields(command(t, "go", "-C", module, "run", "./cmd/linuxpackage",
		"--source", source, "--binary", binary, "--version", version, "--arch", runtime.GOARCH, "--time", "1790000000", "--output", dir))
	require.Len(t, paths, 3)
	guide := filepath.Join(dir, "otelcol-infra_"+version+"_amd64.deb") // as the guides name it, on any machine
	require.NoError(t, os.Rename(paths[0], guide))
	return &release{dir: dir, deb: guide, rpm: paths[1], apk: paths[2], running: running}
}
