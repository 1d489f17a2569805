// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/checksum"
)

// sums returns the checksum of each file below folder.
func sums(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		require.NoError(t, err)
		all[name], err = checksum.File(path)
		return err
	}))
	return all
}

// Packages come from Go's build cache, so that the second build links only.
func TestTwoReleasesOfOneCommitHaveTheSameBits(t *testing.T) {
	first := released(t)
	// Elsewhere, with another user's settings.
	source := filepath.Join(t.TempDir(), "a", "checkout", "elsewhere")
	shell(t, ".", "git", "clone", "--quiet", first.source, source)
	t.Setenv("GOFLAGS", "-buildvcs=true")
	t.Setenv("GOAMD64", "v2")
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	folder := filepath.Join(t.TempDir(), "release")
	publish(t, source, folder, first.secret)
	assert.Equal(t, sums(t, first.folder), sums(t, folder))

	for _, name := range []string{
		"binaries/linux_amd64/otelcol-infra", "otelcol-infra_0.2.0_linux_amd64.tar.gz", "otelcol-infra_0.2.0_linux_amd64.cdx.json",
		"otelcol-infra_0.2.0_image.tar", "otelcol-infra_0.2.0_provenance.json", "otelcol-infra_0.2.0_sha256sums.txt", "otelcol-infra_0.2.0_sha256sums.txt.minisig",
	} {
		assert.FileExists(t, filepath.Join(folder, name))
	}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, entry := range entries {
		assert.NotContains(t, entry.Name(), ".image-", "a temporary folder")
	}
}
