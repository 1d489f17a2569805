// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package tokenfile reads a token that is given in the configuration or kept
// in a file which others rotate.
package tokenfile

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"
)

// Source is a token, or the path of a file that holds one. At most one is set.
type Source struct {
	Token configopaque.String
	File  string
}

// Validate checks that the two are not both set and that a file can be read.
// The error names the YAML keys `token` and `token_file`.
func (s Source) Validate() error {
	if s.Token != "" && s.File != "" {
		return errors.New("token and token_file are both set: keep one of them")
	}
	_, err := s.Read()
	return err
}

// Read returns the token, empty when none is configured. The file is read at
// every call: it is small, and a rotated token counts from the next request on.
func (s Source) Read() (string, error) {
	if s.File == "" {
		return string(s.Token), nil
	}
	content, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("token_file cannot be read, check its path and permissions: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("token_file %s is empty: write the token into it", s.File)
	}
	return token, nil
}
