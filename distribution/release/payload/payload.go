// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package payload knows the files that a release ships beside the binary.
package payload

import (
	"fmt"
	"path/filepath"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/archive"
)

// Configurations returns the configurations of the checkout in source, below
// folder. Their names are those in /etc/otelcol-infra of a package.
func Configurations(source, folder string) ([]archive.Entry, error) {
	files := []archive.Entry{
		file(folder, "standalone.yaml", source, "collector-config.yaml"),
		file(folder, "status.yaml", source, "distribution", "status.yaml"),
		file(folder, "events-otlp.yaml", source, "distribution", "events-otlp.yaml"),
	}
	found, err := filepath.Glob(filepath.Join(source, "distribution", "config", "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list the configurations: %w", err)
	}
	for _, path := range found {
		files = append(files, file(folder, filepath.Base(path), path))
	}
	return files, nil
}

// Policies returns what the collector may do in the servers, below folder.
func Policies(source, folder string) ([]archive.Entry, error) {
	found, err := filepath.Glob(filepath.Join(source, "distribution", "*.hcl"))
	if err != nil {
		return nil, fmt.Errorf("list the policies: %w", err)
	}
	var files []archive.Entry
	for _, path := range found {
		files = append(files, file(folder, filepath.Base(path), path))
	}
	return files, nil
}

// Licences returns the licence and the notices of others, below folder.
func Licences(source, folder, notices string) []archive.Entry {
	return []archive.Entry{file(folder, "LICENSE", source, "LICENSE"), file(folder, filepath.Base(notices), notices)}
}

func file(folder, name string, path ...string) archive.Entry {
	return archive.Entry{Name: folder + "/" + name, Mode: 0o644, Path: filepath.Join(path...)}
}
