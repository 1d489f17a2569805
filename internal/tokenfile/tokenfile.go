// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package tokenfile reads a secret, such as a token, that is given in the
// configuration or kept in a file which others rotate.
package tokenfile

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"
)

// Source is a secret, or the path of a file that holds one. At most one is set.
type Source struct {
	Token configopaque.String
	File  string

	// Name is the YAML key of the secret, `token` when it is empty; that of
	// the file is FileName, or the same with `_file` when FileName is empty.
	Name     string
	FileName string
}

// Validate checks that the two are not both set and that a file can be read.
// The error names the YAML keys.
func (s Source) Validate() error {
	if s.Token != "" && s.File != "" {
		return fmt.Errorf("%[1]s and %[1]s_file are both set: keep one of them", s.name())
	}
	_, err := s.Read()
	return err
}

// Read returns the secret, empty when none is configured. The file is read at
// every call: it is small, and a rotated one counts from the next request on.
func (s Source) Read() (string, error) {
	if s.File == "" {
		return string(s.Token), nil
	}
	content, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read, check its path and permissions: %w", s.fileName(), err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("%s %s is empty: write the %s into it", s.fileName(), s.File, s.name())
	}
	return token, nil
}

func (s Source) name() string { return cmp.Or(s.Name, "token") }

func (s Source) fileName() string { return cmp.Or(s.FileName, s.name()+"_file") }
