// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	reportEvery = 15 * time.Second
	lockPoll    = 200 * time.Millisecond

	optimized = "LAB_OPTIMIZED"
)

// gcflags are those of the compiler. Without inlining and without debug
// information a server compiles in 56 % of the processor time. Benchmarks need
// servers as their users have them, and set LAB_OPTIMIZED.
func gcflags() string {
	if os.Getenv(optimized) != "" {
		return "all=-dwarf=false"
	}
	return "all=-l -dwarf=false"
}

// buildJob builds one server into the cache.
type buildJob struct {
	recipe
	version  string
	module   string // lab/servers/<name>, where go build runs
	target   string // the executable in the cache
	position string // "2 of 5"
}

func newBuildJob(ctx context.Context, r recipe) (*buildJob, error) {
	servers, err := serversFolder()
	if err != nil {
		return nil, err
	}
	job := &buildJob{recipe: r, module: filepath.Join(servers, r.name)}
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
func (j *buildJob) toolchain(ctx context.Context) (string, error) {
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

// run builds under a lock, as several test processes may ask at once.
func (j *buildJob) run(ctx context.Context, progress io.Writer) error {
	folder := filepath.Dir(j.target)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the cache folder of %s: %w", j.name, err)
	}
	lock := flock.New(folder + ".lock")
	defer lock.Close()
	if err := j.lock(ctx, lock, progress); err != nil {
		return err
	}
	if isExecutable(j.target) == nil {
		return nil // another process has built it meanwhile
	}
	start := time.Now()
	stop := every(progress, func() string { return j.report(time.Since(start)) })
	err := j.build(ctx)
	stop()
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "lab: built %s %s (%s) in %s\n", j.name, j.version, j.position, round(time.Since(start)))
	return nil
}

func (j *buildJob) report(elapsed time.Duration) string {
	return fmt.Sprintf("lab: building %s %s (%s), %s; the first build takes minutes, later starts take seconds\n",
		j.name, j.version, j.position, round(elapsed))
}

func (j *buildJob) lock(ctx context.Context, lock *flock.Flock, progress io.Writer) error {
	locked, err := lock.TryLock()
	if err == nil && !locked {
		start := time.Now()
		stop := every(progress, func() string {
			return fmt.Sprintf("lab: waiting for another process that builds %s %s, %s\n", j.name, j.version, round(time.Since(start)))
		})
		_, err = lock.TryLockContext(ctx, lockPoll)
		stop()
	}
	if err != nil {
		return fmt.Errorf("lock the build of %s with %s: %w", j.name, lock.Path(), err)
	}
	return nil
}

// build runs go build and moves the result into place in one step.
func (j *buildJob) build(ctx context.Context) error {
	partial := j.target + ".partial" // ours alone: we hold the lock
	defer os.Remove(partial)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-tags", j.tags, "-gcflags", gcflags(), "-ldflags", "-s -w", "-o", partial, j.pkg)
	cmd.Dir, cmd.Env = j.module, buildEnv()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// An interrupted go command removes its work folder, a killed one does not.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopGrace
	err := startTied(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("build of %s %s given up: %w", j.name, j.version, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("build %s %s in %s: %w; repair that, or set %s to the path of an executable\n%s",
			j.name, j.version, j.module, err, j.env, lastLines(output.Bytes(), 20))
	}
	if err := os.Rename(partial, j.target); err != nil {
		return fmt.Errorf("move the built %s into the cache: %w", j.name, err)
	}
	return nil
}

// every writes line() now and every 15 seconds, until the function it gives is called.
func every(progress io.Writer, line func() string) (stop func()) {
	fmt.Fprint(progress, line())
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				fmt.Fprint(progress, line())
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }
