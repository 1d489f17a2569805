// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const optimized = "LAB_OPTIMIZED"

// gcflags are those of the compiler. Without inlining and without debug
// information a server compiles in 56 % of the processor time. Benchmarks need
// servers as their users have them, and set LAB_OPTIMIZED.
func gcflags() string {
	if os.Getenv(optimized) != "" {
		return "all=-dwarf=false"
	}
	return "all=-l -dwarf=false"
}

// serverJob builds one server into the cache.
type serverJob struct {
	recipe
	version string
	module  string // lab/servers/<folder>, where go build runs
	target  string // the executable in the cache
}

func newServerJob(ctx context.Context, r recipe) (*serverJob, error) {
	servers, err := serversFolder()
	if err != nil {
		return nil, err
	}
	job := &serverJob{recipe: r, module: filepath.Join(servers, cmp.Or(r.folder, r.name))}
	if job.version, err = r.version(job.module); err != nil {
		return nil, err
	}
	toolchain, err := job.toolchain(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := r.digest(job.module, toolchain+gcflags())
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache folder; set HOME or XDG_CACHE_HOME: %w", err)
	}
	folder := fmt.Sprintf("%s-%s-%s", r.name, job.version, digest)
	job.target = filepath.Join(cache, "otelcol-infra", "servers", folder, r.name)
	return job, nil
}

// toolchain is the Go version and target that the module will be built with.
func (j *serverJob) toolchain(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "CGO_ENABLED")
	cmd.Dir, cmd.Env = j.module, buildEnv()
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s must be built, and there is no go command; install Go, or set %s to the path of an executable: %w",
			j.name, j.env, err)
	}
	if err != nil {
		return "", fmt.Errorf("ask the go command for its version in %s: %w", j.module, err)
	}
	return string(out), nil
}

// buildEnv keeps the caller's GOFLAGS and workspace out of the build. GOFLAGS
// is set, not empty: an empty one falls back to what "go env -w" has stored.
func buildEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "GOFLAGS=") || strings.HasPrefix(kv, "GOWORK=")
	})
	return append(env, "GOFLAGS=-mod=readonly", "GOWORK=off")
}

func (j *serverJob) server() string               { return j.name }
func (j *serverJob) label() string                { return j.name + " " + j.version }
func (j *serverJob) processorTime() time.Duration { return j.cost }
func (j *serverJob) built() (bool, error)         { return isExecutable(j.target) == nil, nil }
func (j *serverJob) lockPath() string             { return filepath.Dir(j.target) + ".lock" }

// build runs go build and moves the result into place in one step.
func (j *serverJob) build(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(j.target), 0o755); err != nil {
		return fmt.Errorf("make the cache folder of %s: %w", j.name, err)
	}
	partial := j.target + ".partial" // ours alone: we hold the lock
	defer os.Remove(partial)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-tags", j.tags, "-gcflags", gcflags(), "-ldflags", "-s -w", "-o", partial, j.pkg)
	cmd.Dir, cmd.Env = j.module, buildEnv()
	output, err := runBuild(cmd)
	if ctx.Err() != nil {
		return fmt.Errorf("build of %s %s given up: %w", j.name, j.version, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("build %s %s in %s: %w; repair that, or set %s to the path of an executable\n%s",
			j.name, j.version, j.module, err, j.env, lastLines(output, 20))
	}
	if err := os.Rename(partial, j.target); err != nil {
		return fmt.Errorf("move the built %s into the cache: %w", j.name, err)
	}
	return nil
}

// runBuild runs a build to its end and gives what it printed.
func runBuild(cmd *exec.Cmd) ([]byte, error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// An interrupted go command removes its work folder, a killed one does not.
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = stopGrace
	err := startTied(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	return output.Bytes(), err
}
