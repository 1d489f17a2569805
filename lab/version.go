// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/semver"
)

// versionTimeout is long enough for a server to print its version on a machine
// that is busy with builds.
const versionTimeout = 20 * time.Second

// installed is the version of an executable that was not built here.
type installed struct {
	version string // without the "v"
	unknown error  // why there is none
	old     bool
}

func (in installed) usable() bool { return in.unknown == nil && !in.old }

func (in installed) String() string {
	if in.unknown != nil {
		return fmt.Sprintf("of an unknown version: %v", in.unknown)
	}
	return in.version
}

// inspected has the executables whose version is known, by server and path: tests
// start servers often.
var inspected sync.Map

// inspect runs the executable to find out its version.
func (r recipe) inspect(ctx context.Context, path string) installed {
	if in, ok := inspected.Load([2]string{r.name, path}); ok {
		return in.(installed)
	}
	version, err := r.installedVersion(ctx, path)
	if err != nil {
		return installed{unknown: err}
	}
	in := installed{version: version, old: !r.newEnough(version)}
	inspected.Store([2]string{r.name, path}, in)
	return in
}

func (r recipe) installedVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, r.printsVersion)
	cmd.Env = plainEnv()
	cmd.WaitDelay = time.Second // a child of a script may hold the output open
	out, err := cmd.Output()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %s", versionTimeout)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", r.name, r.printsVersion, err)
	}
	version, ok := r.versionIn(string(out))
	if !ok {
		return "", fmt.Errorf("%s %s prints none", r.name, r.printsVersion)
	}
	return version, nil
}

func (r recipe) newEnough(version string) bool {
	return semver.Compare("v"+version, "v"+r.oldest) >= 0
}

// unreleased is the version that Temporal prints unless those who release it say another.
const unreleased = "0.0.0-DEV"

// versionIn finds the version in what the server prints of itself. It may have a
// suffix such as +ent, -dev, or that of a distribution, +ds.
func (r recipe) versionIn(output string) (version string, ok bool) {
	_, rest, ok := strings.Cut(output, r.beforeVersion)
	if !ok {
		return "", false
	}
	if end := strings.IndexAny(rest, " \t\r\n\","); end >= 0 {
		rest = rest[:end]
	}
	if r.versionField > 0 {
		fields := strings.Split(rest, "/")
		if len(fields) <= r.versionField {
			return "", false
		}
		rest = fields[r.versionField]
	}
	// Debian writes 3.0.0~rc.1 for what precedes 3.0.0.
	version = strings.ReplaceAll(strings.TrimPrefix(rest, "v"), "~", "-")
	return version, version != unreleased && semver.IsValid("v"+version)
}
