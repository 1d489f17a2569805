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

// Binary gives the path of the named server's or tool's executable. The first of these
// that there is: the path in its variable (LAB_CONSUL, LAB_ETCD, LAB_VAULT,
// LAB_JAEGER, LAB_PROMETHEUS, LAB_TEMPORAL, LAB_ETCDCTL, LAB_ETCDUTL); an executable of that name
// on PATH that is new enough, see [OldestVersions], unless the variable says
// "build"; one built earlier, under os.UserCacheDir()/otelcol-infra/servers; else it
// is built there now, which takes minutes and is reported on progress (which may be
// nil). [CollectorName] is built in the checkout.
//
// The error names the server or variable and says what to do about it.
func Binary(ctx context.Context, name string, progress io.Writer) (string, error) {
	found, err := findNamed(ctx, name)
	if err != nil || found.job == nil {
		return found.path, err
	}
	found.report(progress)
	builds := &Builds{progress: orDiscard(progress), missing: []job{found.job}}
	return found.path, builds.Run(ctx)
}

// Build makes the executables of the named servers, of [ServerNames] when none is
// named, available to [Binary]: it builds those that are neither named in the
// environment nor on PATH nor built already, one after the other. It looks for
// all of them before it builds the first. [CollectorName] is a name, too.
func Build(ctx context.Context, progress io.Writer, names ...string) error {
	builds, err := FindMissing(ctx, progress, names...)
	if err != nil {
		return err
	}
	return builds.Run(ctx)
}

// found is where a server's executable is, or will be once job has run.
type found struct {
	path string
	note string // which executable is used that was not built here, or why it is not
	job  job
}

func (f found) report(progress io.Writer) {
	if f.note != "" {
		fmt.Fprintf(orDiscard(progress), "lab: %s\n", f.note)
	}
}

func findNamed(ctx context.Context, name string) (found, error) {
	if name == CollectorName {
		return findCollector()
	}
	picked, err := recipesOf([]string{name})
	if err != nil {
		return found{}, err
	}
	return find(ctx, picked[0])
}

func find(ctx context.Context, r recipe) (found, error) {
	value := os.Getenv(r.env)
	if value != "" && value != buildValue {
		return named(ctx, r, value)
	}
	if value != buildValue {
		// A relative hit (PATH with ".") is refused by LookPath, and so by us.
		if path, err := exec.LookPath(r.name); err == nil {
			return onPath(ctx, r, path)
		}
	}
	return built(ctx, r)
}

// onPath uses the executable on PATH if it is new enough.
func onPath(ctx context.Context, r recipe, path string) (found, error) {
	in := r.inspect(ctx, path)
	if in.usable() {
		note := fmt.Sprintf("using the %s on PATH, %s, %s (%s=%s builds one instead)", r.name, path, in.version, r.env, buildValue)
		return found{path: path, note: note}, nil
	}
	rejected := fmt.Sprintf("the %s on PATH, %s, is %s; %s or newer is needed", r.name, path, in, r.oldest)
	if in.unknown != nil {
		rejected += fmt.Sprintf(" (%s=%s uses it all the same)", r.env, path)
	}
	f, err := built(ctx, r)
	switch {
	case err != nil:
		return found{}, fmt.Errorf("%s: %w", rejected, err)
	case f.job != nil:
		f.note = rejected + ", so one is built"
	default:
		f.note = rejected + ", so the one that was built is used"
	}
	return f, nil
}

// named uses the path that the server's variable holds. It may be of a version
// that is unknown: one that was built elsewhere may have none.
func named(ctx context.Context, r recipe, value string) (found, error) {
	remedy := fmt.Sprintf("set it to the path of an executable that is %s or newer, to %q to build one, or unset it", r.oldest, buildValue)
	if r.pkg == "" {
		remedy = fmt.Sprintf("set it to the path of an executable that is %s or newer, or unset it", r.oldest)
	}
	path, err := filepath.Abs(value)
	if err == nil {
		err = isExecutable(path)
	}
	if err != nil {
		return found{}, fmt.Errorf("%s does not name a usable %s: %w; %s", r.env, r.name, err, remedy)
	}
	in := r.inspect(ctx, path)
	switch {
	case in.unknown != nil:
		return found{path: path, note: fmt.Sprintf("using the %s that %s names, %s, although it is %s", r.name, r.env, path, in)}, nil
	case !in.usable():
		return found{}, fmt.Errorf("%s names %s of an old version: %s is %s; %s", r.env, r.name, path, in, remedy)
	}
	return found{path: path}, nil
}

// built is the executable in the cache, or the job that puts it there.
func built(ctx context.Context, r recipe) (found, error) {
	job, err := newServerJob(ctx, r)
	if err != nil {
		return found{}, err
	}
	if isExecutable(job.target) == nil {
		return found{path: job.target}, nil
	}
	return found{path: job.target, job: job}, nil
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
