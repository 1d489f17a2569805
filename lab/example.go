// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gofrs/flock"
)

// BuildExample builds all programs of the module in a folder, such as
// examples/order, and returns the folder of the executables, each with the name
// of its own. It lies in the user's cache, one for each place of the module, as
// go build links only those again that have changed. The output of go build goes
// to progress, which may be nil.
func BuildExample(ctx context.Context, folder string, progress io.Writer) (bin string, err error) {
	folder, err = filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("build the programs in %s: %w", folder, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder; set HOME or XDG_CACHE_HOME: %w", err)
	}
	digest := sha256.Sum256([]byte(folder))
	bin = filepath.Join(cache, "otelcol-infra", "examples", fmt.Sprintf("%s-%x", filepath.Base(folder), digest[:6]))
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder of %s: %w", folder, err)
	}
	lock := flock.New(bin + ".lock") // several tests may ask at once
	defer lock.Close()
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return "", fmt.Errorf("lock the build of %s with %s: %w", folder, lock.Path(), err)
	}
	// The compiler's flags are those of go test, so that they share what is compiled.
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-s -w",
		"-o", bin+string(filepath.Separator), "./...")
	cmd.Dir, cmd.Env = folder, buildEnv()
	cmd.Stdout, cmd.Stderr = orDiscard(progress), orDiscard(progress)
	// An interrupted go command removes its work folder, a killed one does not.
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = stopGrace
	if err = startTied(cmd); err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return "", fmt.Errorf("build the programs in %s: %w", folder, err)
	}
	return bin, nil
}
