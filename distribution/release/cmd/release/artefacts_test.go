// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/provenance"
)

const list = "otelcol-infra_0.2.0_sha256sums.txt"

func TestChecksumsCoverAllThatIsPublishedAndTheirSignatureHolds(t *testing.T) {
	p := released(t)
	checked := strings.Fields(strings.ReplaceAll(shell(t, p.folder, "sha256sum", "--check", "--strict", list), ": OK", ""))
	entries, err := os.ReadDir(p.folder)
	require.NoError(t, err)
	for _, entry := range entries {
		if entry.IsDir() || strings.HasPrefix(entry.Name(), list) {
			continue
		}
		assert.Contains(t, checked, entry.Name())
	}
	shell(t, p.folder, "minisign", "-V", "-m", list, "-p", p.publicKey)
}

func TestWhatWasTamperedWithIsFound(t *testing.T) {
	p := released(t)
	folder := t.TempDir()
	const archive = "otelcol-infra_0.2.0_linux_amd64.tar.gz"
	for _, name := range []string{list, list + ".minisig", archive} {
		content, err := os.ReadFile(filepath.Join(p.folder, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	check := func(name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir = folder
		return cmd.Run()
	}
	require.NoError(t, check("sha256sum", "--check", "--ignore-missing", list))
	content, err := os.ReadFile(filepath.Join(folder, archive))
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(folder, archive), content, 0o600))
	require.Error(t, check("sha256sum", "--check", "--ignore-missing", list), "one bit differs")

	// Who changes the list, too, lacks the key.
	shell(t, folder, "bash", "-c", "sha256sum "+archive+" > "+list)
	require.NoError(t, check("sha256sum", "--check", list))
	require.Error(t, check("minisign", "-V", "-m", list, "-p", p.publicKey))
}

func TestTheSBOMIsWhatGoHasLinked(t *testing.T) {
	p := released(t)
	content, err := os.ReadFile(filepath.Join(p.folder, "otelcol-infra_0.2.0_linux_amd64.cdx.json"))
	require.NoError(t, err)
	var bom cyclonedx.BOM
	require.NoError(t, json.Unmarshal(content, &bom))
	var got []string
	for _, c := range *bom.Components {
		require.NotNil(t, c.Licenses, c.Name)
		assert.NotEmpty(t, (*c.Licenses)[0].Expression, c.Name)
		assert.Equal(t, "pkg:golang/"+c.Name+"@"+c.Version, strings.ReplaceAll(c.PackageURL, "%2B", "+"))
		if c.Name == "stdlib" {
			assert.Equal(t, strings.Fields(shell(t, p.source, "go", "version"))[2], "go"+c.Version)
			continue
		}
		assert.Len(t, (*c.Hashes)[0].Value, 64, c.Name)
		got = append(got, c.Name+" "+c.Version)
	}
	var want []string
	for line := range strings.Lines(shell(t, p.folder, "go", "version", "-m", "binaries/linux_amd64/otelcol-infra")) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "dep" && fields[1] != "github.com/otelcol-infra/otelcol-infra" {
			want = append(want, fields[1]+" "+fields[2])
		}
	}
	assert.Greater(t, len(want), 300)
	assert.ElementsMatch(t, want, got)
	version := strings.Fields(shell(t, p.folder, "binaries/linux_amd64/otelcol-infra", "--version"))[2]
	assert.Equal(t, version, bom.Metadata.Component.Version)
}

func TestTheProvenanceNamesCommitToolchainAndFiles(t *testing.T) {
	p := released(t)
	content, err := os.ReadFile(filepath.Join(p.folder, "otelcol-infra_0.2.0_provenance.json"))
	require.NoError(t, err)
	var s provenance.Statement
	require.NoError(t, json.Unmarshal(content, &s))
	d := s.Predicate.BuildDefinition
	assert.Equal(t, strings.TrimSpace(shell(t, p.source, "git", "rev-parse", "HEAD")), d.ResolvedDependencies[0].Digest["gitCommit"])
	assert.Equal(t, strings.Fields(shell(t, p.source, "go", "version"))[2], d.InternalParameters.Go)
	assert.NotEmpty(t, d.InternalParameters.OCB)
	assert.False(t, d.InternalParameters.Dirty)
	var published []string
	for line := range strings.Lines(shell(t, p.folder, "cat", list)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if name == "otelcol-infra_0.2.0_provenance.json" {
			continue
		}
		published = append(published, name)
		for _, subject := range s.Subject {
			if subject.Name == name {
				assert.Equal(t, sum, subject.Digest["sha256"])
			}
		}
	}
	var subjects []string
	for _, subject := range s.Subject {
		subjects = append(subjects, subject.Name)
	}
	assert.ElementsMatch(t, published, subjects)
}

func TestTheArchiveHoldsWhatRuns(t *testing.T) {
	p := released(t)
	dir := t.TempDir()
	shell(t, dir, "tar", "--extract", "--file", filepath.Join(p.folder, "otelcol-infra_0.2.0_linux_amd64.tar.gz"))
	folder := filepath.Join(dir, "otelcol-infra_0.2.0_linux_amd64")
	for _, name := range []string{"LICENSE", "THIRD-PARTY-NOTICES.txt", "policies/vault-policy.hcl", "config/standalone.yaml", "config/status.yaml"} {
		assert.FileExists(t, filepath.Join(folder, name))
	}
	shell(t, folder, "./otelcol-infra", "validate", "--config", "config/standalone.yaml")
}
