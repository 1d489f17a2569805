// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package distribution holds what is shipped, and asserts that it fits
// together.
package distribution

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
)

const ourModule = "github.com/otelcol-infra/otelcol-infra"

type component struct {
	GoMod  string `yaml:"gomod"`
	Import string `yaml:"import"`
}

type manifest struct {
	Receivers  []component `yaml:"receivers"`
	Processors []component `yaml:"processors"`
	Exporters  []component `yaml:"exporters"`
	Connectors []component `yaml:"connectors"`
	Extensions []component `yaml:"extensions"`
	Providers  []component `yaml:"providers"`
	Replaces   []string    `yaml:"replaces"`
}

func (m manifest) all() []component {
	return slices.Concat(m.Receivers, m.Processors, m.Exporters, m.Connectors, m.Extensions, m.Providers)
}

func readManifest(t *testing.T) manifest {
	content, err := os.ReadFile("../builder-config.yaml")
	require.NoError(t, err)
	var m manifest
	require.NoError(t, yaml.Unmarshal(content, &m))
	return m
}

func readGoMod(t *testing.T, file string) map[string]string {
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	mod, err := modfile.Parse(file, content, nil)
	require.NoError(t, err)
	versions := map[string]string{}
	for _, r := range mod.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	return versions
}

// componentFolders are the folders that hold a component of ours.
func componentFolders(t *testing.T) []string {
	found, err := filepath.Glob("../*/*/metadata.yaml")
	require.NoError(t, err)
	var folders []string
	for _, file := range found {
		folder := filepath.ToSlash(filepath.Dir(file))[len("../"):]
		if class := path.Dir(folder); class != "internal" {
			folders = append(folders, folder)
		}
	}
	return folders
}

func TestManifestHoldsExactlyOurComponents(t *testing.T) {
	m := readManifest(t)
	var manifested []string
	for _, c := range m.all() {
		if name, _, _ := strings.Cut(c.GoMod, " "); name == ourModule {
			assert.Equal(t, ourModule+" v0.0.0", c.GoMod)
			manifested = append(manifested, strings.TrimPrefix(c.Import, ourModule+"/"))
		}
	}
	assert.ElementsMatch(t, componentFolders(t), manifested, "component folders and builder-config.yaml differ")
	assert.Equal(t, []string{ourModule + " v0.0.0 => ../../"}, m.Replaces, "one replaces line serves all our components")
}

func TestManifestAndGoModAgreeOnVersions(t *testing.T) {
	versions := readGoMod(t, "../go.mod")
	contrib := versions["github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"]
	checked := 0
	m, ours := readManifest(t), 0
	for _, c := range m.all() {
		name, version, _ := strings.Cut(c.GoMod, " ")
		if name == ourModule {
			ours++
		}
		if inGoMod, ok := versions[name]; ok {
			assert.Equal(t, inGoMod, version, "%s: go.mod and builder-config.yaml differ", name)
		}
		if module, ok := strings.CutPrefix(name, "github.com/open-telemetry/opentelemetry-collector-contrib/"); ok {
			want := contrib
			if module == "extension/storage/filestorage" {
				want = "v0.155.0" // see docs/adr/0003-component-versions.md
			}
			assert.Equal(t, want, version, "%s: not of the contrib release that go.mod names", name)
			checked++
		}
		if core, ok := strings.CutPrefix(name, "go.opentelemetry.io/collector/"); ok {
			want := versions["go.opentelemetry.io/collector/consumer/consumertest"] // one of the v0 modules
			if strings.HasPrefix(core, "confmap/") {
				want = versions["go.opentelemetry.io/collector/component"] // one of the v1 modules
			}
			assert.Equal(t, want, version, "%s: not of the collector release that go.mod names", name)
			checked++
		}
	}
	assert.Equal(t, len(m.all())-ours, checked, "every component but ours has a release that is checked")
}

func TestTheBuilderIsOfTheSameRelease(t *testing.T) {
	tools := readGoMod(t, "../internal/tools/go.mod")
	assert.Equal(t, readGoMod(t, "../go.mod")["go.opentelemetry.io/collector/consumer/consumertest"],
		tools["go.opentelemetry.io/collector/cmd/builder"], "ocb and the collector's modules differ")
}

func TestGoModHasNoReplace(t *testing.T) {
	content, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	mod, err := modfile.Parse("go.mod", content, nil)
	require.NoError(t, err)
	assert.Empty(t, mod.Replace, "a replace is ignored by those who build with our module")
}
