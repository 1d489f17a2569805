// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package archive writes tar.gz and zip files whose bits depend on their content
// alone: no order of a folder, no clock, no user of this machine.
package archive

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Entry is a file, or a folder with [fs.ModeDir], in an archive.
type Entry struct {
	Name  string // with slashes, relative
	Mode  fs.FileMode
	Owner int    // user and group
	Path  string // file that holds the content; Text if empty
	Text  []byte
}

// open returns the content and its size.
func (e Entry) open() (io.ReadCloser, int64, error) {
	if e.Path == "" {
		return io.NopCloser(bytes.NewReader(e.Text)), int64(len(e.Text)), nil
	}
	file, err := os.Open(e.Path)
	if err != nil {
		return nil, 0, fmt.Errorf("add %s to an archive: %w", e.Name, err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("add %s to an archive: %w", e.Name, err)
	}
	return file, info.Size(), nil
}

// ordered returns the entries by name; two of one name are an error.
func ordered(entries []Entry) ([]Entry, error) {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	for i, e := range sorted {
		if i > 0 && sorted[i-1].Name == e.Name {
			return nil, fmt.Errorf("two files are called %s in one archive", e.Name)
		}
		if !fs.ValidPath(strings.TrimSuffix(e.Name, "/")) {
			return nil, fmt.Errorf("%q is no name of a file in an archive", e.Name)
		}
	}
	return sorted, nil
}
