// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Binary gives the path of the named server's executable. The first of these
// that there is: the path in the server's variable (LAB_CONSUL, LAB_ETCD,
// LAB_VAULT, LAB_JAEGER, LAB_PROMETHEUS); an executable of that name on PATH,
// unless the variable says "build"; one built earlier, under
// os.UserCacheDir()/otelcol-infra/servers; else it is built there now, which
// takes minutes and is told on progress (which may be nil).
//
// The error names the server or variable and says what to do about it.
func Binary(ctx context.Context, name string, progress io.Writer) (string, error) {
	picked, err := recipesOf([]string{name})
	if err != nil {
		return "", err
	}
	found, err := find(ctx, picked[0])
	if err != nil {
		return "", err
	}
	if found.job != nil {
		found.job.position = "1 of 1"
		return found.path, found.job.run(ctx, orDiscard(progress))
	}
	return found.path, nil
}

// Build makes the executables of the named servers, of all five when none is
// named, available to [Binary]: it builds those that are neither named in the
// environment nor on PATH nor built already, one after the other.
func Build(ctx context.Context, progress io.Writer, names ...string) error {
	picked, err := recipesOf(names)
	if err != nil {
		return err
	}
	var jobs []*buildJob
	for _, r := range picked {
		found, err := find(ctx, r)
		if err != nil {
			return err
		}
		if found.job != nil {
			jobs = append(jobs, found.job)
		}
		if found.onPath {
			fmt.Fprintf(orDiscard(progress), "lab: using the %s on PATH, %s (%s=%s builds one instead)\n", r.name, found.path, r.env, buildValue)
		}
	}
	for i, job := range jobs {
		job.position = fmt.Sprintf("%d of %d", i+1, len(jobs))
		if err := job.run(ctx, orDiscard(progress)); err != nil {
			return err
		}
	}
	return nil
}

// found is where a server's executable is, or will be once job has run.
type found struct {
	path   string
	onPath bool
	job    *buildJob
}

func find(ctx context.Context, r recipe) (found, error) {
	value := os.Getenv(r.env)
	if value != "" && value != buildValue {
		path, err := named(r, value)
		return found{path: path}, err
	}
	if value != buildValue {
		// A relative hit (PATH with ".") is refused by LookPath, and so by us.
		if path, err := exec.LookPath(r.name); err == nil {
			return found{path: path, onPath: true}, nil
		}
	}
	job, err := newBuildJob(ctx, r)
	if err != nil {
		return found{}, err
	}
	if isExecutable(job.target) == nil {
		return found{path: job.target}, nil
	}
	return found{path: job.target, job: job}, nil
}

// named checks the path that the server's variable holds.
func named(r recipe, value string) (string, error) {
	path, err := filepath.Abs(value)
	if err == nil {
		err = isExecutable(path)
	}
	if err != nil {
		return "", fmt.Errorf("%s does not name a usable %s: %w; set it to the path of an executable, to %q to build one, or unset it",
			r.env, r.name, err, buildValue)
	}
	return path, nil
}

func isExecutable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}

func orDiscard(progress io.Writer) io.Writer {
	if progress == nil {
		return io.Discard
	}
	return progress
}
