// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checksum

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSha256sumVerifiesTheList(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("needs sha256sum on PATH")
	}
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"b.deb", "a.tar.gz"} {
		files = append(files, filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(files[len(files)-1], []byte(name), 0o600))
	}
	list := filepath.Join(dir, "sums.txt")
	require.NoError(t, Write(list, files))
	check := func() (string, error) {
		cmd := exec.Command("sha256sum", "--check", "--strict", "sums.txt")
		cmd.Dir = dir
		output, err := cmd.Output()
		return string(output), err
	}
	output, err := check()
	require.NoError(t, err)
	assert.Equal(t, "a.tar.gz: OK\nb.deb: OK\n", output)
	require.NoError(t, os.WriteFile(files[0], []byte("B.deb"), 0o600))
	_, err = check()
	require.Error(t, err)
}

func TestAFileElsewhereIsRefused(t *testing.T) {
	require.ErrorContains(t, Write(filepath.Join(t.TempDir(), "sums.txt"), []string{"/etc/hostname"}), "does not lie beside")
}
