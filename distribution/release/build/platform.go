// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"slices"
	"strings"
)

// Platform is what a binary runs on, in Go's names.
type Platform struct{ OS, Arch string }

// Released returns the platforms of a release.
func Released() []Platform {
	return []Platform{
		{"linux", "amd64"},
		{"linux", "arm64"},
		{"darwin", "amd64"},
		{"darwin", "arm64"},
		{"windows", "amd64"},
	}
}

// ParsePlatforms reads a list such as linux/amd64,darwin/arm64.
func ParsePlatforms(list string) ([]Platform, error) {
	var platforms []Platform
	for name := range strings.SplitSeq(list, ",") {
		goos, arch, _ := strings.Cut(name, "/")
		p := Platform{goos, arch}
		if !slices.Contains(Released(), p) {
			return nil, fmt.Errorf("platform %q is none of %v", name, Released())
		}
		platforms = append(platforms, p)
	}
	return platforms, nil
}

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// File is the platform as part of a file's name.
func (p Platform) File() string { return p.OS + "_" + p.Arch }

// Executable is the name of the collector's executable.
func (p Platform) Executable() string {
	if p.OS == "windows" {
		return "otelcol-infra.exe"
	}
	return "otelcol-infra"
}
