// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package sbom lists all that is in a binary, in CycloneDX's format, from what Go
// has written into the binary: the list of `go version -m`.
package sbom

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/licence"
)

const (
	ours       = "github.com/otelcol-infra/otelcol-infra"
	repository = "https://github.com/otelcol-infra/otelcol-infra"
)

// Write writes the SBOM of a binary. modules has the licences of all that is in it.
func Write(w io.Writer, binary string, stamp build.Stamp, modules []licence.Module) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read what Go has written into the binary: %w", err)
	}
	licences := map[string][]string{}
	for _, m := range modules {
		licences[m.Path] = m.Licences()
	}
	purl := packageurl.NewPackageURL(packageurl.TypeGolang, "github.com/otelcol-infra", "otelcol-infra", stamp.Full, nil, "")
	main := cyclonedx.Component{
		BOMRef: purl.String(), Type: cyclonedx.ComponentTypeApplication, Name: "otelcol-infra", Version: stamp.Full, PackageURL: purl.String(),
		Licenses:           &cyclonedx.Licenses{{Expression: "Apache-2.0"}},
		ExternalReferences: &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeVCS, URL: repository, Comment: "commit " + stamp.Commit}},
	}
	components := []cyclonedx.Component{}
	dependencies := []string{}
	for _, dep := range append(info.Deps, &debug.Module{Path: licence.Stdlib, Version: strings.TrimPrefix(info.GoVersion, "go")}) {
		if dep.Path == ours {
			continue // is the application itself
		}
		component, err := library(dep, licences)
		if err != nil {
			return err
		}
		components = append(components, component)
		dependencies = append(dependencies, component.BOMRef)
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp:  stamp.Time.Format("2006-01-02T15:04:05Z"), // of the commit: a second build gives the same SBOM
		Component:  &main,
		Properties: properties(info),
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &dependencies}}
	bom.Compositions = &[]cyclonedx.Composition{{
		Aggregate: cyclonedx.CompositionAggregateComplete, Dependencies: &[]cyclonedx.BOMReference{cyclonedx.BOMReference(main.BOMRef)},
	}}
	// The newest version that the usual scanners read.
	return cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6)
}

func library(dep *debug.Module, licences map[string][]string) (cyclonedx.Component, error) {
	if dep.Replace != nil {
		return cyclonedx.Component{}, fmt.Errorf("module %s is replaced by %s: an SBOM cannot name that; publish the change as a version", dep.Path, dep.Replace.Path)
	}
	ids := licences[dep.Path]
	if len(ids) == 0 {
		return cyclonedx.Component{}, fmt.Errorf("the binary holds module %s, of which no licence was read", dep.Path)
	}
	namespace, name := "", dep.Path
	if i := strings.LastIndex(dep.Path, "/"); i >= 0 {
		namespace, name = dep.Path[:i], dep.Path[i+1:]
	}
	purl := packageurl.NewPackageURL(packageurl.TypeGolang, namespace, name, dep.Version, nil, "").String()
	c := cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: dep.Path, Version: dep.Version, PackageURL: purl,
		Scope: cyclonedx.ScopeRequired, Licenses: &cyclonedx.Licenses{{Expression: strings.Join(ids, " AND ")}},
	}
	if sum, ok := strings.CutPrefix(dep.Sum, "h1:"); ok {
		hash, err := base64.StdEncoding.DecodeString(sum)
		if err != nil {
			return cyclonedx.Component{}, fmt.Errorf("read the checksum of module %s: %w", dep.Path, err)
		}
		c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(hash)}}
	}
	return c, nil
}

// properties are the names that cyclonedx-gomod has given to Go's build settings.
func properties(info *debug.BuildInfo) *[]cyclonedx.Property {
	all := []cyclonedx.Property{{Name: "cdx:gomod:build:env:GOVERSION", Value: info.GoVersion}}
	for _, s := range info.Settings {
		switch {
		case s.Key == "-tags":
			for tag := range strings.SplitSeq(s.Value, ",") {
				all = append(all, cyclonedx.Property{Name: "cdx:gomod:build:tag", Value: tag})
			}
		case s.Key == "-compiler":
			all = append(all, cyclonedx.Property{Name: "cdx:gomod:build:compiler", Value: s.Value})
		case s.Key == "CGO_ENABLED" || strings.HasPrefix(s.Key, "GO"):
			all = append(all, cyclonedx.Property{Name: "cdx:gomod:build:env:" + s.Key, Value: s.Value})
		}
	}
	return &all
}
