// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CollectorName is the name of the collector in [Build] and [Binary].
const CollectorName = "collector"

// FirstServers lists the servers that are built before the collector: it can be
// shown with them while the others are built.
func FirstServers() []string { return []string{"etcd", "prometheus"} }

// collectorJob builds the collector of the checkout with ocb.
type collectorJob struct {
	root   string // of the checkout
	target string
}

func findCollector() (found, error) {
	servers, err := serversFolder()
	if err != nil {
		return found{}, err
	}
	root := filepath.Dir(filepath.Dir(servers))
	job := &collectorJob{root: root, target: filepath.Join(root, "distribution", "_build", "otelcol-infra")}
	f := found{path: job.target}
	switch built, err := job.built(); {
	case err != nil:
		return found{}, err
	case !built:
		f.job = job
	}
	return f, nil
}

func (j *collectorJob) server() string               { return CollectorName }
func (j *collectorJob) label() string                { return "the collector" }
func (j *collectorJob) processorTime() time.Duration { return 600 * time.Second }
func (j *collectorJob) lockPath() string             { return j.target + ".lock" }

// built says whether the collector is newer than all that it is made of.
func (j *collectorJob) built() (bool, error) {
	info, err := os.Stat(j.target)
	if err != nil || isExecutable(j.target) != nil {
		return false, nil
	}
	newer := false
	for _, source := range []string{"go.mod", "go.sum", "builder-config.yaml", "receiver", "processor", "internal"} {
		err := filepath.WalkDir(filepath.Join(j.root, source), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if filepath.Dir(path) != j.root && (!strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go")) {
				return nil
			}
			changed, err := entry.Info()
			newer = newer || err == nil && changed.ModTime().After(info.ModTime())
			return err
		})
		if err != nil {
			return false, fmt.Errorf("find out whether the collector is up to date: %w", err)
		}
	}
	return !newer, nil
}

func (j *collectorJob) build(ctx context.Context) error {
	start := time.Now()
	// -s removes debug information anyway.
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=internal/tools/go.mod",
		"builder", "--config", "builder-config.yaml", "--gcflags", "all=-dwarf=false")
	cmd.Dir = j.root
	output, err := runBuild(cmd)
	if ctx.Err() != nil {
		return fmt.Errorf("build of the collector given up: %w", context.Cause(ctx))
	}
	if err == nil {
		err = os.Chtimes(j.target, start, start) // What changed during the build is not in it.
	}
	if err != nil {
		return fmt.Errorf("build the collector with ocb in %s: %w\n%s", j.root, err, lastLines(output, 20))
	}
	return nil
}
