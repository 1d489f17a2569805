// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	installing = "../../docs/install.md"
	upgrading  = "../../docs/upgrade.md"
)

// block is the shell block of a guide that holds a text, word for word.
func block(t *testing.T, guide, holds string) string {
	t.Helper()
	content, err := os.ReadFile(guide)
	require.NoError(t, err)
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(content), -1) {
		if strings.Contains(match[1], holds) {
			found = append(found, match[1])
		}
	}
	require.Len(t, found, 1, "blocks of %s that hold %q", guide, holds)
	return found[0]
}

// versions are those that the guides install first, and upgrade to.
func versions(t *testing.T) (first, next string) {
	t.Helper()
	name := regexp.MustCompile(`otelcol-infra_(\d+\.\d+\.\d+)_amd64\.deb`)
	for guide, version := range map[string]*string{block(t, installing, "apt-get install"): &first, block(t, upgrading, "--force-confold ./otelcol-infra_0.3"): &next} {
		match := name.FindStringSubmatch(guide)
		require.NotNil(t, match, guide)
		*version = match[1]
	}
	require.NotEqual(t, first, next)
	return first, next
}
