// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package checksum writes lists that `sha256sum --check` reads.
package checksum

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File returns the SHA-256 of a file, in hexadecimal digits.
func File(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("compute a checksum: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("compute the checksum of %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Write writes the checksums of files into list, beside which they lie.
func Write(list string, files []string) error {
	var lines []string
	for _, file := range files {
		if filepath.Dir(file) != filepath.Dir(list) {
			return fmt.Errorf("%s does not lie beside %s, which would name it", file, list)
		}
		sum, err := File(file)
		if err != nil {
			return err
		}
		lines = append(lines, sum+"  "+filepath.Base(file)+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	if err := os.WriteFile(list, []byte(strings.Join(lines, "")), 0o644); err != nil {
		return fmt.Errorf("write the checksums: %w", err)
	}
	return nil
}
