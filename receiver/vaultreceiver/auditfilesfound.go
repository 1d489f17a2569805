// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/matcher"
)

const (
	// conditionInclude is the name of the condition that there are files, and
	// conditionOpen that they can be opened.
	conditionInclude = "audit::file::include"
	conditionOpen    = "files of audit::file"

	// findEvery is how often that is looked for.
	findEvery = 10 * time.Second
)

// watchFiles says what is wrong with the files until ctx ends, which those who read
// them pass over.
func (f *auditFile) watchFiles(ctx context.Context) {
	files, err := matcher.New(f.stream.cfg.File.Get().criteria())
	if err != nil {
		return // Who reads has said so.
	}
	for ; ctx.Err() == nil; pause(ctx, findEvery) {
		paths, err := files.MatchFiles()
		f.stream.w.Condition.Set(conditionInclude, matched(paths, err))
		f.stream.w.Condition.Set(conditionOpen, openable(paths))
	}
}

func matched(paths []string, err error) error {
	if len(paths) > 0 {
		return nil // What else cannot be looked for may be none of Vault's.
	}
	return fmt.Errorf("audit::file::include matches no file: check its paths, that vault's device has written there, and that the collector's user may enter the folder: %w", err)
}

func openable(paths []string) error {
	var errs []error
	for _, path := range paths {
		// A pipe would have it wait for a writer.
		file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		switch {
		case err == nil:
			_ = file.Close()
		case !errors.Is(err, fs.ErrNotExist): // It was renamed just now.
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%d of the files that audit::file::include matches cannot be read: have the collector run as vault's user, or set the device's option mode, such as 0640, and add the collector's user to its group: %w",
		len(errs), errs[0])
}
