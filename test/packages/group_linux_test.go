// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// enter is a shell script that enters the control groups of its arguments up to --,
// and becomes the program after that.
const enter = `while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"`

var containers atomic.Int32

// groups makes the control groups of one container, which would otherwise share
// those of this process: each systemd would take the other's processes for its own.
func groups(t *testing.T) (paths []string) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	name := fmt.Sprintf("otelcol-infra-%d-%d", os.Getpid(), containers.Add(1))
	for line := range strings.Lines(string(own)) {
		controllers, path, _ := strings.Cut(line[strings.Index(line, ":")+1:], ":")
		var hierarchy string
		switch controllers {
		case "name=systemd":
			hierarchy = "/sys/fs/cgroup/systemd"
		case "":
			hierarchy = "/sys/fs/cgroup/unified"
			if _, err := os.Stat(hierarchy); err != nil {
				hierarchy = "/sys/fs/cgroup"
			}
		default:
			continue // systemd tracks no processes there
		}
		group := filepath.Join(hierarchy, strings.TrimSpace(path), name)
		require.NoError(t, os.Mkdir(group, 0o755))
		t.Cleanup(func() { removeGroup(group) })
		paths = append(paths, group)
	}
	return paths
}

// removeGroup removes a group and those in it, which are empty: the container has ended.
func removeGroup(group string) {
	var folders []string
	_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		os.Remove(folder)
	}
}
