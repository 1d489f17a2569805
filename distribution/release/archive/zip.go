// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"time"
)

// Zip writes a zip file of files, without folders. All of them have the given time.
func Zip(path string, entries []Entry, at time.Time) error {
	sorted, err := ordered(entries)
	if err != nil {
		return err
	}
	return create(path, func(file io.Writer) (err error) {
		out := zip.NewWriter(file)
		defer func() { err = errors.Join(err, out.Close()) }()
		for _, e := range sorted {
			if err := zipped(out, e, at); err != nil {
				return fmt.Errorf("add %s to a zip file: %w", e.Name, err)
			}
		}
		return nil
	})
}

func zipped(out *zip.Writer, e Entry, at time.Time) error {
	content, _, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()
	header := &zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: at.UTC()}
	header.SetMode(e.Mode)
	w, err := out.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}
