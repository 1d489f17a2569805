// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/licensecheck"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
)

// text returns the full text of a licence that licensecheck knows.
func text(t *testing.T, id string) []byte {
	t.Helper()
	for _, l := range licensecheck.BuiltinLicenses() {
		if l.ID == id {
			return []byte(l.LRE)
		}
	}
	t.Fatalf("no licence %s", id)
	return nil
}

// module writes a module in a temporary folder and reads its files.
func module(t *testing.T, files map[string][]byte, packages ...string) Module {
	t.Helper()
	s := source{path: "example.com/m", version: "v1.0.0", dir: t.TempDir(), packages: map[string]bool{}}
	for _, p := range packages {
		s.packages[filepath.Join(s.dir, p)] = true
		require.NoError(t, os.MkdirAll(filepath.Join(s.dir, p), 0o700))
	}
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), content, 0o600))
	}
	read, err := s.files()
	require.NoError(t, err)
	return Module{Path: s.path, Version: s.version, Files: read}
}

func apache(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("../../../LICENSE")
	require.NoError(t, err)
	return content
}

func TestAPermittedLicencePasses(t *testing.T) {
	m := module(t, map[string][]byte{"LICENSE": apache(t), "license.go": []byte("package m")}, ".")
	require.NoError(t, Check([]Module{m}))
	assert.Equal(t, []string{"Apache-2.0"}, m.Licences())
}

// The texts are in licensecheck's pattern language: without its operators they are the licences themselves.
func plain(pattern []byte) []byte {
	var lines []string
	for line := range strings.Lines(string(pattern)) {
		if !strings.Contains(line, "((") && !strings.Contains(line, "))") && !strings.Contains(line, "//**") && !strings.Contains(line, "||") {
			lines = append(lines, line)
		}
	}
	return []byte(strings.Join(lines, ""))
}

func TestOtherLicencesAreRefused(t *testing.T) {
	for _, id := range []string{"AGPL-3.0", "GPL-3.0", "LGPL-2.1", "SSPL-1.0"} {
		t.Run(id, func(t *testing.T) {
			m := module(t, map[string][]byte{"LICENSE": plain(text(t, id))}, ".")
			err := Check([]Module{m})
			require.ErrorContains(t, err, "module example.com/m v1.0.0: the licence in LICENSE is "+id)
			require.ErrorContains(t, err, "builder-config.yaml")
		})
	}
}

func TestATextThatNobodyKnowsIsRefused(t *testing.T) {
	for _, text := range []string{
		"All rights reserved. Ask us.\n",
		"Business Source License 1.1\n\nLicensor: Example, Inc.\nAdditional Use Grant: You may make production use of the Licensed Work, " +
			"provided that it is not hosted for others.\nChange Date: Four years from the date the Licensed Work is published.\nChange License: MPL 2.0\n",
	} {
		m := module(t, map[string][]byte{"LICENSE": []byte(text)}, ".")
		require.ErrorContains(t, Check([]Module{m}), "the licence in LICENSE is unknown")
	}
}

func TestAModuleWithoutALicenceIsRefused(t *testing.T) {
	m := module(t, map[string][]byte{"NOTICE": []byte("Copyright someone\n")}, ".")
	require.ErrorContains(t, Check([]Module{m}), "module example.com/m v1.0.0 has no licence file")
}

func TestTheLicenceOfACopiedPackageCountsIfItIsLinked(t *testing.T) {
	files := map[string][]byte{"LICENSE": apache(t), "third_party/forked/COPYING": []byte("All rights reserved. Ask us.\n")}
	require.NoError(t, Check([]Module{module(t, files, "api")}))
	require.ErrorContains(t, Check([]Module{module(t, files, "third_party/forked/inner")}), "third_party/forked/COPYING is unknown")
}

func TestNoticesHoldEachTextOnceAndEveryModule(t *testing.T) {
	a := module(t, map[string][]byte{"LICENSE": apache(t), "NOTICE": []byte("Copyright A\r\n")}, ".")
	b := module(t, map[string][]byte{"LICENSE": apache(t)}, ".")
	b.Path = "example.com/other"
	notices := string(Notices([]Module{a, b}))
	assert.Equal(t, 1, strings.Count(notices, "TERMS AND CONDITIONS FOR USE"))
	assert.Contains(t, notices, "example.com/m v1.0.0: Apache-2.0\nexample.com/other v1.0.0: Apache-2.0\n")
	assert.Contains(t, notices, "example.com/m v1.0.0 (LICENSE)\nexample.com/other v1.0.0 (LICENSE)\n")
	assert.Contains(t, notices, "example.com/m v1.0.0 (NOTICE)")
	assert.Contains(t, notices, "\nCopyright A\n")
}

func TestTheCollectorMayBeShipped(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ocb's output, in distribution/_build; run make test")
	}
	require.FileExists(t, "../../_build/go.mod", "build the collector first: make build")
	tags, err := build.Tags("../../..")
	require.NoError(t, err)
	modules, err := Read(t.Context(), "../../_build", tags, build.Released())
	require.NoError(t, err)
	require.NoError(t, Check(modules))
	assert.Greater(t, len(modules), 300)
	for i, m := range modules {
		if m.Path == "github.com/otelcol-infra/otelcol-infra" {
			assert.Equal(t, []string{"Apache-2.0"}, modules[i].Licences())
		}
	}
}
