// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The repository's address leads to the checkout of the release; all else is run as it is written.
func TestTheGuideHowToVerifyADownloadIsTrue(t *testing.T) {
	p := released(t)
	guide, err := os.ReadFile("../../../../docs/guides/verify-download.md")
	require.NoError(t, err)
	var commands strings.Builder
	commands.WriteString("set -euxo pipefail\n")
	blocks := shellBlock.FindAllStringSubmatch(string(guide), -1)
	require.GreaterOrEqual(t, len(blocks), 5)
	for _, block := range blocks {
		commands.WriteString(block[1])
	}
	script := commands.String()

	download := t.TempDir()
	entries, err := os.ReadDir(p.folder)
	require.NoError(t, err)
	for _, entry := range entries {
		if !entry.IsDir() {
			require.NoError(t, os.Link(filepath.Join(p.folder, entry.Name()), filepath.Join(download, entry.Name())))
		}
	}
	key, err := os.ReadFile(p.publicKey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(download, "otelcol-infra.pub"), key, 0o600))

	output := shellWith(t, []string{
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url." + p.source + ".insteadOf",
		"GIT_CONFIG_VALUE_0=https://github.com/otelcol-infra/otelcol-infra",
	}, download, "bash", "-c", script)
	assert.Contains(t, output, "Signature and comment signature verified")
	assert.Contains(t, output, "otelcol-infra_0.2.0_linux_amd64.tar.gz: OK")
	assert.Regexp(t, `\d+ MPL-2.0\n`, output)
	assert.Contains(t, output, `"version": "0.2.0"`)

	// A binary of another commit is another one.
	source := filepath.Join(download, "source")
	require.NoError(t, os.WriteFile(filepath.Join(source, "more.txt"), nil, 0o600))
	shell(t, source, "git", "add", "--all")
	shell(t, source, "git", "commit", "--quiet", "-m", "more")
	comparison := strings.TrimSpace(script[strings.LastIndex(script, "source/bin/release compile"):])
	shellWith(t, nil, download, "bash", "-c", "! { "+comparison+"; }")
}
