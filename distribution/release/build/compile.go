// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
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
	"go.yaml.in/yaml/v3"
)

// Options are what [Compile] needs.
type Options struct {
	Source     string     // root of the checkout
	Version    string     // such as 0.2.0
	AllowDirty bool       // build although the checkout differs from its commit
	Platforms  []Platform // [Released] if empty
	Output     string     // folder; distribution/_release in Source if empty
	Log        io.Writer  // progress; none if nil
}

// Result is what [Compile] has built.
type Result struct {
	Stamp    Stamp
	Module   string              // folder of ocb's output: the module that was compiled
	Tags     string              // Go's build tags
	Flags    []string            // of go build
	Binaries map[Platform]string // path of each executable
}

// Modules is the folder of ocb's output in the checkout: as deep as the one in
// builder-config.yaml, whose `replaces` is relative to it.
const Modules = "distribution/_stamped"

// Compile builds the collector with ocb's output for builder-config.yaml. It
// changes no file that git knows. Calls in one checkout wait for each other.
func Compile(ctx context.Context, o Options) (r Result, err error) {
	if len(o.Platforms) == 0 {
		o.Platforms = Released()
	}
	if o.Output == "" {
		o.Output = filepath.Join(o.Source, "distribution", "_release")
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	stamp, err := ReadStamp(ctx, o.Source, o.Version, o.AllowDirty)
	if err != nil {
		return Result{}, err
	}
	r = Result{Stamp: stamp, Module: filepath.Join(o.Source, Modules), Binaries: map[Platform]string{}}
	if r.Tags, err = Tags(o.Source); err != nil {
		return Result{}, err
	}
	r.Flags = []string{"-trimpath", "-ldflags=-s -w", "-gcflags=all=-dwarf=false", "-tags=" + r.Tags} // As lab builds it: what is compiled is shared.

	if err := os.MkdirAll(r.Module, 0o755); err != nil {
		return Result{}, fmt.Errorf("create the folder of ocb's output: %w", err)
	}
	lock := flock.New(filepath.Join(r.Module, "lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return Result{}, fmt.Errorf("wait for another release in %s: %w", o.Source, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	fmt.Fprintf(o.Log, "release: ocb writes the collector's main package, version %s\n", stamp.Full)
	if err := generate(ctx, o.Source, stamp); err != nil {
		return Result{}, err
	}
	for i, p := range o.Platforms {
		work := fmt.Sprintf("compiling for %s (%d of %d)", p, i+1, len(o.Platforms))
		fmt.Fprintf(o.Log, "release: %s\n", work)
		target, err := filepath.Abs(filepath.Join(o.Output, "binaries", p.File(), p.Executable()))
		if err != nil {
			return Result{}, err
		}
		args := append(append([]string{"build"}, r.Flags...), "-o", target, ".")
		stop := progress(o.Log, work, 30*time.Second)
		err = run(ctx, r.Module, Environment(p), "go", args...)
		took := stop()
		if err != nil {
			return Result{}, fmt.Errorf("compile the collector for %s: %w", p, err)
		}
		fmt.Fprintf(o.Log, "release: compiled for %s in %s\n", p, took)
		r.Binaries[p] = target
	}
	return r, nil
}

// generate runs ocb, which takes values of its manifest from the environment, too.
func generate(ctx context.Context, source string, stamp Stamp) error {
	env := append(Environment(Platform{}), "dist.version="+stamp.Full, "dist.output_path=./"+Modules)
	err := run(ctx, source, env, "go", "tool", "-modfile=internal/tools/go.mod", "builder",
		"--config", "builder-config.yaml", "--skip-compilation")
	if err != nil {
		return fmt.Errorf("run ocb on builder-config.yaml: %w", err)
	}
	return nil
}

// Environment is the environment of a build for p, or for this machine if p is
// empty: without what the user may have set that changes the bits.
func Environment(p Platform) []string {
	env := slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		switch name {
		case "GOFLAGS", "GOEXPERIMENT", "GODEBUG", "GOFIPS140", "GOAMD64", "GOARM64", "GOWORK", "GOOS", "GOARCH", "CGO_ENABLED", "GOROOT_FINAL":
			return true
		}
		return strings.HasPrefix(name, "dist.")
	})
	// The environment wins over `go env -w`. The commit is in the version; Go's own stamp would differ outside of git.
	env = append(env, "GOFLAGS=-buildvcs=false", "GOEXPERIMENT=", "GOFIPS140=off", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off", "CGO_ENABLED=0")
	if p != (Platform{}) {
		env = append(env, "GOOS="+p.OS, "GOARCH="+p.Arch)
	}
	return env
}

// Tags returns Go's build tags in builder-config.yaml.
func Tags(source string) (string, error) {
	var manifest struct {
		Dist struct {
			BuildTags string `yaml:"build_tags"`
		} `yaml:"dist"`
	}
	content, err := os.ReadFile(filepath.Join(source, "builder-config.yaml"))
	if err != nil {
		return "", fmt.Errorf("read what the collector holds: %w", err)
	}
	if err := yaml.Unmarshal(content, &manifest); err != nil {
		return "", fmt.Errorf("read builder-config.yaml: %w", err)
	}
	return manifest.Dist.BuildTags, nil
}

func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go passes it on to what it has started.
	cmd.WaitDelay = 10 * time.Second
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("%w:\n%s", err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	return nil
}
