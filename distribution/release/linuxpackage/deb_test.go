// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linuxpackage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDeb(t *testing.T) {
	dpkg := tool(t, "dpkg-deb")
	deb, _, _ := build(t, options(t, "arm64"))
	assert.Equal(t, "arm64", strings.TrimSpace(run(t, dpkg, "-f", deb, "Architecture")))
	assert.Equal(t, "0.2.0", strings.TrimSpace(run(t, dpkg, "-f", deb, "Version")))
	assert.ElementsMatch(t, configurations(t), strings.Fields(run(t, dpkg, "-I", deb, "conffiles")))
	contents := run(t, dpkg, "-c", deb)
	for _, path := range []string{
		"./usr/bin/otelcol-infra", "./usr/libexec/otelcol-infra/launch", "./usr/lib/systemd/system/otelcol-infra.service",
		"./usr/share/doc/otelcol-infra/copyright", "./usr/share/doc/otelcol-infra/THIRD-PARTY-NOTICES.txt",
	} {
		assert.Contains(t, contents, path)
	}
	assert.NotContains(t, contents, "/etc/systemd/", "that folder is the administrator's")
}

func TestLintian(t *testing.T) {
	lintian := tool(t, "lintian")
	deb, _, _ := build(t, options(t, "amd64"))
	out, err := tryRun(t, lintian, "--allow-root", "--profile", "debian", "--fail-on", "error,warning,info", "--display-info", deb)
	assert.NoError(t, err, out)
}
