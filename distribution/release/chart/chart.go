// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package chart packs the Helm chart with a release's version.
package chart

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/archive"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
)

// Folder is where the chart lies in the checkout.
const Folder = "distribution/kubernetes/chart"

// Name is the chart's name, and the folder in its archive.
const Name = "otelcol-infra"

var versions = regexp.MustCompile(`(?m)^(version|appVersion): .*$`)

// Pack writes the chart of the checkout in source as Helm packs it, and returns
// the path. Its version and appVersion are the release's. Without a chart the path
// is empty.
func Pack(ctx context.Context, source, output string, stamp build.Stamp) (string, error) {
	dir := filepath.Join(source, Folder)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	// What git ignores is no part of the chart, such as the files of an editor.
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	list, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("list the chart's files in %s: %w", dir, err)
	}
	var entries []archive.Entry
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		entry := archive.Entry{Name: Name + "/" + name, Mode: 0o644, Path: filepath.Join(dir, name)}
		if name == "Chart.yaml" {
			content, err := os.ReadFile(entry.Path)
			if err != nil {
				return "", fmt.Errorf("read the chart: %w", err)
			}
			if len(versions.FindAll(content, -1)) != 2 {
				return "", fmt.Errorf("%s has no version and appVersion, or more than one", entry.Path)
			}
			entry.Path, entry.Text = "", versions.ReplaceAll(content, []byte("${1}: "+stamp.Version))
		}
		entries = append(entries, entry)
	}
	path := filepath.Join(output, Name+"-"+stamp.Version+".tgz")
	return path, archive.TarGz(path, entries, stamp.Time)
}
