// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// Development is the version of a collector that is no release: that of
// builder-config.yaml.
const Development = "0.0.0-dev"

// Stamp identifies a release.
type Stamp struct {
	Version string    // 0.2.0
	Full    string    // 0.2.0+20261130.673143f1a2b3: version, day (UTC) and commit
	Commit  string    // all its digits
	Time    time.Time // of the commit, UTC: the time of every file in the release
	Dirty   bool      // the checkout differs from the commit
}

// ReadStamp returns the stamp of the commit that is checked out in source. A
// checkout that differs from its commit is an error, unless allowDirty.
func ReadStamp(ctx context.Context, source, version string, allowDirty bool) (Stamp, error) {
	if err := checkVersion(version); err != nil {
		return Stamp{}, err
	}
	head, err := git(ctx, source, "show", "--no-patch", "--no-show-signature", "--format=%H %ct", "HEAD")
	if err != nil {
		return Stamp{}, err
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(head), " ")
	epoch, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || len(commit) < 12 {
		return Stamp{}, fmt.Errorf("git show in %s printed %q, not a commit and its time", source, head)
	}
	changed, err := git(ctx, source, "status", "--porcelain")
	if err != nil {
		return Stamp{}, err
	}
	s := Stamp{Version: version, Commit: commit, Time: time.Unix(epoch, 0).UTC(), Dirty: changed != ""}
	s.Full = fmt.Sprintf("%s+%s.%s", version, s.Time.Format("20060102"), commit[:12])
	if s.Dirty {
		if !allowDirty {
			return Stamp{}, fmt.Errorf("%s differs from its commit, and nobody could build the release again: commit or "+
				"stash these, or pass --allow-dirty for a trial:\n%s", source, strings.TrimRight(changed, "\n"))
		}
		s.Full += ".dirty"
	}
	return s, nil
}

var prerelease = regexp.MustCompile(`^(-(alpha|beta|rc)\.\d+)?$`)

// Releasable says whether version is semantic, has no metadata, and is no prerelease
// but one that deb, rpm and apk all order before the release.
func Releasable(version string) bool {
	return semver.Canonical("v"+version) == "v"+version && prerelease.MatchString(semver.Prerelease("v"+version))
}

func checkVersion(version string) error {
	switch {
	case version == "":
		return errors.New("no version: pass one, such as make release VERSION=0.2.0")
	case strings.HasPrefix(version, "v"):
		return fmt.Errorf("version %q: leave out the v", version)
	case semver.Build("v"+version) != "":
		return fmt.Errorf("version %q: leave out %q, the release adds day and commit", version, semver.Build("v"+version))
	case version != Development && !Releasable(version):
		return fmt.Errorf("version %q is not of the form 0.2.0 or 0.2.0-rc.1 (https://semver.org)", version)
	}
	return nil
}

func git(ctx context.Context, source string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = source
	output, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("git %s in %s: a release needs a git checkout: %w", args[0], source, err)
	}
	return string(output), nil
}
