// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// TarGz writes a compressed tar file. All its entries have the given time.
func TarGz(path string, entries []Entry, at time.Time) error {
	return create(path, func(file io.Writer) (err error) {
		compressed := gzip.NewWriter(file) // The best compression takes five times as long for half a percent.
		defer func() { err = errors.Join(err, compressed.Close()) }()
		return Tar(compressed, entries, at)
	})
}

// Tar writes a tar file. All its entries have the given time.
func Tar(w io.Writer, entries []Entry, at time.Time) error {
	sorted, err := ordered(entries)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, e := range sorted {
		if err := addTo(out, e, at); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write a tar file: %w", err)
	}
	return nil
}

func addTo(out *tar.Writer, e Entry, at time.Time) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: e.Name, Mode: int64(e.Mode.Perm()), Uid: e.Owner, Gid: e.Owner, ModTime: at, Format: tar.FormatUSTAR,
	}
	if e.Mode.IsDir() {
		header.Typeflag, header.Name = tar.TypeDir, e.Name+"/"
		return out.WriteHeader(header)
	}
	content, size, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()
	header.Size = size
	if err := out.WriteHeader(header); err != nil {
		return fmt.Errorf("add %s to a tar file: %w", e.Name, err)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("add %s to a tar file: %w", e.Name, err)
	}
	return nil
}

// create writes a new file, and removes it again if that fails.
func create(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create an archive: %w", err)
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}
