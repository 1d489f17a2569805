// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// build builds the example's programs, which takes a minute at first and a second later
// on, and gives the folder of their executables.
func build(ctx context.Context, example string, progress io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder; set HOME or XDG_CACHE_HOME: %w", err)
	}
	folder := filepath.Join(cache, "otelcol-infra", "order")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the example's programs: %w", err)
	}
	fmt.Fprintln(progress, "order: building the example's services")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", folder+string(filepath.Separator), "./...")
	cmd.Dir, cmd.Env = example, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs in %s: %w\n%s", example, err, output)
	}
	return folder, nil
}
