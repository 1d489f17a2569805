// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
)

// Module is a module of which packages are linked into the collector.
type Module struct {
	Path    string // stdlib for Go's standard library, as in the SBOM
	Version string // v0.0.0 for this repository
	Files   []File // licences and notices, sorted by name
}

// source is where the files of a module lie.
type source struct {
	path, version, dir string
	packages           map[string]bool // folders of those that are linked
}

// Read returns the modules that are linked for any of the platforms, sorted by
// path. folder holds ocb's output, tags are Go's build tags.
func Read(ctx context.Context, folder, tags string, platforms []build.Platform) ([]Module, error) {
	lists := make([]map[string]*source, len(platforms))
	group, ctx := errgroup.WithContext(ctx)
	for i, p := range platforms {
		group.Go(func() (err error) {
			lists[i], err = list(ctx, folder, tags, p)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	sources := map[string]*source{}
	for _, linked := range lists {
		for path, s := range linked {
			if sources[path] == nil {
				sources[path] = s
			}
			for dir := range s.packages {
				sources[path].packages[dir] = true
			}
		}
	}
	var modules []Module
	for _, s := range sources {
		files, err := s.files()
		if err != nil {
			return nil, err
		}
		modules = append(modules, Module{Path: s.path, Version: s.version, Files: files})
	}
	slices.SortFunc(modules, func(a, b Module) int { return cmp.Compare(a.Path, b.Path) })
	return modules, nil
}

// listed is what `go list -json` prints of a package.
type listed struct {
	Dir      string
	Standard bool
	Root     string
	Module   *struct {
		Path, Version, Dir, GoVersion string
		Main                          bool
	}
}

// list returns the modules that are linked for one platform, by path.
func list(ctx context.Context, folder, tags string, p build.Platform) (map[string]*source, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-trimpath", "-tags="+tags, "-json=Dir,Standard,Root,Module", ".")
	cmd.Dir, cmd.Env = folder, build.Environment(p)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s in %s, which `make build` fills: %w: %s", p, folder, err, strings.TrimSpace(stderr.String()))
	}
	sources := map[string]*source{}
	add := func(path, version, dir, pkg string) {
		if sources[path] == nil {
			sources[path] = &source{path: path, version: version, dir: dir, packages: map[string]bool{}}
		}
		sources[path].packages[pkg] = true
	}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var l listed
		switch err := decoder.Decode(&l); {
		case errors.Is(err, io.EOF):
			return sources, nil
		case err != nil:
			return nil, fmt.Errorf("read what go list printed for %s: %w", p, err)
		case l.Standard:
			add(Stdlib, "", l.Root, l.Dir)
		case l.Module == nil:
			return nil, fmt.Errorf("package in %s belongs to no module", l.Dir)
		case !l.Module.Main: // ocb's output holds no code of others.
			add(l.Module.Path, l.Module.Version, l.Module.Dir, l.Dir)
		}
	}
}

// Stdlib is the name of Go's standard library as a module.
const Stdlib = "stdlib"

// folders returns the module's folder, those of its packages, and all between.
func (s *source) folders() ([]string, error) {
	folders := map[string]bool{s.dir: true}
	for pkg := range s.packages {
		inside, err := filepath.Rel(s.dir, pkg)
		if err != nil || strings.HasPrefix(inside, "..") {
			return nil, fmt.Errorf("package in %s lies outside of its module in %s", pkg, s.dir)
		}
		for dir := pkg; dir != s.dir; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	var sorted []string
	for dir := range folders {
		sorted = append(sorted, dir)
	}
	slices.Sort(sorted)
	return sorted, nil
}
