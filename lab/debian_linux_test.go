// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The servers that Debian has are what is on the PATH of many machines. They are
// unpacked and not installed.
func TestTheServersOfDebian(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads packages of Debian; run without -short")
	}
	for name, pkg := range map[string]string{"etcd": "etcd-server", "prometheus": "prometheus"} {
		t.Run(name, func(t *testing.T) {
			root, version := unpacked(t, pkg)
			path := filepath.Join(root, "usr", "bin", name)
			picked, err := recipesOf([]string{name})
			require.NoError(t, err)
			r := picked[0]
			in := r.inspect(t.Context(), path)
			require.NoError(t, in.unknown)
			require.Equal(t, version, in.version)
			t.Logf("%s of Debian is %s, %s or newer is needed", name, in, r.oldest)

			t.Setenv(r.env, "")
			addToPath(t, path)
			found, err := find(t.Context(), r)
			require.NoError(t, err)
			if in.usable() {
				require.Equal(t, path, found.path)
				require.Contains(t, found.note, "using the "+name+" on PATH")
				var progress bytes.Buffer
				l, err := Start(t.Context(), Options{Servers: []string{name}, Progress: &progress})
				require.NoError(t, err)
				stopAfter(t, l)
				return
			}
			require.Contains(t, found.note, "the "+name+" on PATH, "+path+", is "+in.version+"; "+r.oldest+" or newer is needed, so ")
			require.Contains(t, found.path, "/otelcol-infra/servers/"+name+"-v")
			t.Setenv(r.env, path)
			_, err = find(t.Context(), r)
			require.ErrorContains(t, err, r.env+" names "+name+" of an old version: "+path+" is "+in.version)
		})
	}
}

// unpacked downloads a package, and gives where its files are and its version
// without Debian's own.
func unpacked(t *testing.T, pkg string) (root, version string) {
	t.Helper()
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s of Debian: %v", tool, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	run := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := run("apt-get", "download", pkg); err != nil {
		t.Skipf("apt-get download %s: %v\n%s", pkg, err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	root = filepath.Join(dir, "root")
	out, err := run("dpkg-deb", "-x", files[0], root)
	require.NoError(t, err, out)
	version, err = run("dpkg-deb", "-f", files[0], "Version")
	require.NoError(t, err, version)
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	version = version[:strings.LastIndexByte(version, '-')]
	return root, strings.ReplaceAll(version, "~", "-")
}
