// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package provenance writes from what, with what and how a release was built, in
// the form of SLSA's provenance: enough to build it again and to compare the bits.
package provenance

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/checksum"
)

const repository = "https://github.com/otelcol-infra/otelcol-infra"

// Statement is an in-toto statement with SLSA's provenance, version 1:
// https://slsa.dev/spec/v1.0/provenance.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"` // what was published
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// Resource is a file or a commit.
type Resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// Predicate is SLSA's provenance.
type Predicate struct {
	BuildDefinition Definition `json:"buildDefinition"`
	RunDetails      Details    `json:"runDetails"`
}

// Definition is all that the bits depend on.
type Definition struct {
	BuildType            string     `json:"buildType"`
	ExternalParameters   Parameters `json:"externalParameters"`
	InternalParameters   Toolchain  `json:"internalParameters"`
	ResolvedDependencies []Resource `json:"resolvedDependencies"`
}

// Parameters are what the person chose who made the release.
type Parameters struct {
	Version string `json:"version"`
	Command string `json:"command"`
}

// Toolchain is what compiled the collector.
type Toolchain struct {
	Version     string            `json:"collectorVersion"` // as the collector prints it
	CommitTime  string            `json:"commitTime"`       // the time of all files
	Dirty       bool              `json:"dirty"`            // there were changes that are in no commit: nobody can build it again
	Go          string            `json:"go"`
	OCB         string            `json:"ocb"`
	Flags       []string          `json:"goBuildFlags"`
	Environment map[string]string `json:"goEnvironment"` // of Go, for all platforms
}

// Details name who built.
type Details struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
}

// Write writes the provenance of published, files that lie beside path.
func Write(path, source string, built build.Result, published []string) error {
	s := Statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	for _, file := range published {
		sum, err := checksum.File(file)
		if err != nil {
			return err
		}
		s.Subject = append(s.Subject, Resource{Name: filepath.Base(file), Digest: map[string]string{"sha256": sum}})
	}
	slices.SortFunc(s.Subject, func(a, b Resource) int { return cmp.Compare(a.Name, b.Name) })

	stamp := built.Stamp
	d := &s.Predicate.BuildDefinition
	d.BuildType = repository + "/blob/main/docs/guides/verify-download.md"
	d.ExternalParameters = Parameters{Version: stamp.Version, Command: "make release VERSION=" + stamp.Version}
	s.Predicate.RunDetails.Builder.ID = repository + "/tree/main/distribution/release"
	var err error
	if d.InternalParameters, err = toolchain(source, built); err != nil {
		return err
	}
	d.ResolvedDependencies = []Resource{{URI: "git+" + repository, Digest: map[string]string{"gitCommit": stamp.Commit}}}
	// ocb writes them from builder-config.yaml; with the same content, each module has the same code.
	for _, name := range []string{"go.mod", "go.sum"} {
		sum, err := checksum.File(filepath.Join(built.Module, name))
		if err != nil {
			return err
		}
		d.ResolvedDependencies = append(d.ResolvedDependencies, Resource{Name: build.Modules + "/" + name, Digest: map[string]string{"sha256": sum}})
	}

	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return fmt.Errorf("write the provenance: %w", err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the provenance: %w", err)
	}
	return nil
}

func toolchain(source string, built build.Result) (Toolchain, error) {
	t := Toolchain{
		Version: built.Stamp.Full, CommitTime: built.Stamp.Time.Format(time.RFC3339), Dirty: built.Stamp.Dirty,
		Flags: built.Flags, Environment: map[string]string{},
	}
	for _, p := range build.Released() {
		binary, ok := built.Binaries[p]
		if !ok {
			continue
		}
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return Toolchain{}, fmt.Errorf("read what Go has written into the binary for %s: %w", p, err)
		}
		t.Go = info.GoVersion
		for _, s := range info.Settings {
			if s.Key[0] != '-' && s.Key != "GOOS" && s.Key != "GOARCH" {
				t.Environment[s.Key] = s.Value
			}
		}
	}
	tools := filepath.Join(source, "internal", "tools", "go.mod")
	content, err := os.ReadFile(tools)
	if err != nil {
		return Toolchain{}, fmt.Errorf("read ocb's version: %w", err)
	}
	mod, err := modfile.Parse(tools, content, nil)
	if err != nil {
		return Toolchain{}, fmt.Errorf("read ocb's version: %w", err)
	}
	for _, r := range mod.Require {
		if r.Mod.Path == "go.opentelemetry.io/collector/cmd/builder" {
			t.OCB = r.Mod.Version
			return t, nil
		}
	}
	return Toolchain{}, errors.New("internal/tools/go.mod does not require ocb, go.opentelemetry.io/collector/cmd/builder")
}
