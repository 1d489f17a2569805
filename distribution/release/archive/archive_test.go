// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var at = time.Date(2026, 11, 30, 22, 30, 0, 0, time.UTC)

func entries(t *testing.T) []Entry {
	t.Helper()
	file := filepath.Join(t.TempDir(), "binary")
	require.NoError(t, os.WriteFile(file, []byte("binary"), 0o600))
	return []Entry{{Name: "v/otelcol-infra", Mode: 0o755, Path: file}, {Name: "v/LICENSE", Mode: 0o644, Text: []byte("licence\n")}}
}

func TestTheBitsDependOnTheContentAlone(t *testing.T) {
	for name, write := range map[string]func(string, []Entry, time.Time) error{"tar.gz": TarGz, "zip": Zip} {
		t.Run(name, func(t *testing.T) {
			first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
			require.NoError(t, write(first, entries(t), at))
			other := entries(t) // in files that are newer
			slices.Reverse(other)
			local := at.In(time.FixedZone("east", 3600))
			require.NoError(t, write(second, other, local))
			a, err := os.ReadFile(first)
			require.NoError(t, err)
			b, err := os.ReadFile(second)
			require.NoError(t, err)
			assert.Equal(t, a, b)
			require.NoError(t, write(second, other, at.Add(time.Hour)))
			b, err = os.ReadFile(second)
			require.NoError(t, err)
			assert.NotEqual(t, a, b)
		})
	}
}

func TestTarReadsTheArchive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.tar.gz")
	require.NoError(t, TarGz(file, append(entries(t), Entry{Name: "v", Mode: os.ModeDir | 0o755, Owner: 10001}), at))
	cmd := exec.Command("tar", "--list", "--verbose", "--numeric-owner", "--file", file)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	output, err := cmd.Output()
	require.NoError(t, err)
	assert.Equal(t, "drwxr-xr-x 10001/10001       0 2026-11-30 22:30 v/\n"+
		"-rw-r--r-- 0/0               8 2026-11-30 22:30 v/LICENSE\n"+
		"-rwxr-xr-x 0/0               6 2026-11-30 22:30 v/otelcol-infra\n", string(output))
}

func TestTheZipFileKeepsTimeAndMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.zip")
	require.NoError(t, Zip(file, entries(t), at))
	read, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer func() { assert.NoError(t, read.Close()) }()
	require.Len(t, read.File, 2)
	assert.Equal(t, "v/otelcol-infra", read.File[1].Name)
	assert.Equal(t, os.FileMode(0o755), read.File[1].Mode())
	assert.True(t, at.Equal(read.File[1].Modified))
}

func TestNamesThatAnArchiveCannotHoldAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.zip")
	require.ErrorContains(t, Zip(file, []Entry{{Name: "a"}, {Name: "a"}}, at), "two files are called a")
	require.ErrorContains(t, Zip(file, []Entry{{Name: "../a"}}, at), "no name of a file")
	require.Error(t, TarGz(file, []Entry{{Name: "a", Path: "/no/such/file"}}, at))
	require.NoFileExists(t, file)
}
