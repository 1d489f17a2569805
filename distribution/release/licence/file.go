// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/google/licensecheck"
)

// File is a licence or a notice, in the root of a module or beside a package
// that was copied into it.
type File struct {
	Name     string   // path in the module
	Text     []byte   // with \n
	Licences []string // SPDX identifiers, sorted; [Unknown] if it is none that is known; none for a notice
}

// Unknown stands for a text that is no known licence.
const Unknown = "unknown"

// covered is the share of a text, in percent, that known licences must make up:
// the threshold of pkg.go.dev.
const covered = 75

var (
	licenceName = regexp.MustCompile(`(?i)^((mit|bsd|apache)-)?(un)?licen[cs]es?([-_.].*)?$|^copying([-_.].*)?$`)
	noticeName  = regexp.MustCompile(`(?i)^(notices?|patents|copyright|third[-_]party.*)([-_.].*)?$`)
	sourceCode  = regexp.MustCompile(`(?i)\.(go|json|ya?ml|tmpl|sh|s|h|c)$`)
)

func (s *source) files() ([]File, error) {
	folders, err := s.folders()
	if err != nil {
		return nil, err
	}
	var files []File
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("read the files of module %s: %w", s.path, err)
		}
		for _, entry := range entries {
			isLicence := licenceName.MatchString(entry.Name())
			if entry.IsDir() || sourceCode.MatchString(entry.Name()) || !isLicence && !noticeName.MatchString(entry.Name()) {
				continue
			}
			path := filepath.Join(folder, entry.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("read a licence of module %s: %w", s.path, err)
			}
			name, err := filepath.Rel(s.dir, path)
			if err != nil {
				return nil, err
			}
			file := File{Name: filepath.ToSlash(name), Text: bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))}
			if isLicence {
				file.Licences = classify(text)
			}
			files = append(files, file)
		}
	}
	return files, nil
}

func classify(text []byte) []string {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < covered {
		return []string{Unknown}
	}
	var found []string
	for _, match := range coverage.Match {
		found = append(found, match.ID)
	}
	slices.Sort(found)
	return slices.Compact(found)
}
