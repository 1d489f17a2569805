// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestBinaryNamedInTheEnvironmentWins(t *testing.T) {
	onPath, named := fakeExecutable(t, "etcd"), fakeExecutable(t, "my-etcd")
	t.Setenv("PATH", filepath.Dir(onPath))
	t.Setenv("LAB_ETCD", named)
	path, err := Binary(t.Context(), "etcd", nil)
	require.NoError(t, err)
	require.Equal(t, named, path)
}

func TestBinaryOnPathComesNext(t *testing.T) {
	onPath := fakeServer(t, "etcd", "etcd Version: 1000.0.0")
	t.Setenv("PATH", filepath.Dir(onPath))
	t.Setenv("LAB_ETCD", "")
	path, err := Binary(t.Context(), "etcd", nil)
	require.NoError(t, err)
	require.Equal(t, onPath, path)
}

func TestBinaryNamedWronglyIsAnErrorThatNamesTheVariable(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	for value, want := range map[string]string{
		"/no/such/etcd": "no such file",
		plain:           "is not executable",
		t.TempDir():     "is a directory",
	} {
		t.Setenv("LAB_ETCD", value)
		_, err := Binary(t.Context(), "etcd", nil)
		require.ErrorContains(t, err, "LAB_ETCD does not name a usable etcd")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "unset it")
	}
}

func TestUnknownServerNamesTheKnownOnes(t *testing.T) {
	for _, ask := range []func() error{
		func() error { _, err := Binary(t.Context(), "nomad", nil); return err },
		func() error { return Build(t.Context(), nil, "etcd", "nomad") },
		func() error { _, err := Start(t.Context(), Options{Servers: []string{"nomad"}}); return err },
	} {
		require.EqualError(t, ask(), `unknown server "nomad"; known are etcd, prometheus, jaeger, vault, consul, temporal, kube-apiserver, etcdctl, etcdutl`)
	}
	_, err := Start(t.Context(), Options{Servers: []string{"etcdctl"}})
	require.EqualError(t, err, "etcdctl is no server; known are etcd, prometheus, jaeger, vault, consul, temporal, kube-apiserver")
}

func TestOutsideACheckoutTheErrorSaysWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("LAB_ETCD", "build")
	_, err := Binary(t.Context(), "etcd", nil)
	require.ErrorContains(t, err, "run inside a checkout")
	require.ErrorContains(t, err, "LAB_ETCD")
}

func TestBuildBuildsWhatIsMissingOnce(t *testing.T) {
	fakeCheckout(t)
	t.Setenv("LAB_PROMETHEUS", fakeExecutable(t, "prometheus"))
	t.Setenv("GOFLAGS", "-mod=vendor") // must not matter
	var progress bytes.Buffer
	require.NoError(t, Build(t.Context(), &progress, "prometheus", "etcd", "consul"))
	require.Contains(t, progress.String(), "lab: building etcd v3.4.5 (1 of 2), 0s; about ")
	require.Contains(t, progress.String(), "lab: built consul v1.2.3 (2 of 2) in ")

	progress.Reset()
	path, err := Binary(t.Context(), "etcd", &progress)
	require.NoError(t, err)
	require.Empty(t, progress.String())
	require.Regexp(t, `/otelcol-infra/servers/etcd-v3\.4\.5-[0-9a-f]{12}/etcd$`, path)
	require.NoError(t, exec.Command(path).Run())
}

func TestBuildAskedForAtOnceIsDoneOnce(t *testing.T) {
	fakeCheckout(t)
	picked, err := recipesOf([]string{"etcd"})
	require.NoError(t, err)
	etcd, err := find(t.Context(), picked[0])
	require.NoError(t, err)
	folder := filepath.Dir(etcd.path)
	require.NoError(t, os.MkdirAll(folder, 0o755))
	another := flock.New(folder + ".lock")
	require.NoError(t, another.Lock())
	var progress bytes.Buffer
	shared := &sharedWriter{to: &progress}
	reported := func(what string) int {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		return strings.Count(progress.String(), what)
	}
	var group errgroup.Group
	for range 3 {
		group.Go(func() error { _, err := Binary(t.Context(), "etcd", shared); return err })
	}
	require.Eventually(t, func() bool { return reported("lab: waiting for another process") >= 3 }, time.Minute, 10*time.Millisecond)
	require.Zero(t, reported("lab: built etcd"))
	require.NoError(t, another.Unlock())
	require.NoError(t, group.Wait())
	require.Equal(t, 1, reported("lab: built etcd"))
}

func TestBuildThatFailsShowsTheCompilersWords(t *testing.T) {
	source := fakeCheckout(t)
	require.NoError(t, os.WriteFile(filepath.Join(source, "etcd", "server", "main.go"), []byte("package main\nfunc main() { oops }\n"), 0o600))
	_, err := Binary(t.Context(), "etcd", nil)
	require.ErrorContains(t, err, "build etcd v3.4.5")
	require.ErrorContains(t, err, "undefined: oops")
	require.ErrorContains(t, err, "LAB_ETCD")
}

func TestDigestChangesWithEachInput(t *testing.T) {
	module := filepath.Join(fakeCheckout(t), "etcd")
	r := recipe{name: "etcd", pkg: "p"}
	digests := map[string]bool{}
	add := func(r recipe, toolchain string) {
		digest, err := r.digest(module, toolchain+gcflags())
		require.NoError(t, err)
		digests[digest] = true
	}
	add(r, "go1")
	add(r, "go1")
	add(r, "go2")
	add(recipe{name: "etcd", pkg: "p", tags: "minimal"}, "go1")
	require.NoError(t, os.WriteFile(filepath.Join(module, "go.sum"), []byte("x"), 0o600))
	add(r, "go1")
	require.Len(t, digests, 4)
}

func fakeExecutable(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700))
	return path
}

// fakeCheckout makes the working directory a checkout with tiny stand-ins for
// consul and etcd, and an empty cache; it gives lab/servers.
func fakeCheckout(t *testing.T) string {
	t.Helper()
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(goCache))) // it follows XDG_CACHE_HOME else
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root := t.TempDir()
	servers := filepath.Join(root, "lab", "servers")
	for _, s := range []struct{ name, env, module, version string }{
		{"consul", "LAB_CONSUL", "github.com/hashicorp/consul", "v1.2.3"},
		{"etcd", "LAB_ETCD", "go.etcd.io/etcd/server/v3", "v3.4.5"},
	} {
		t.Setenv(s.env, "build")
		module := filepath.Join(servers, s.name)
		require.NoError(t, os.MkdirAll(filepath.Join(module, "server"), 0o755))
		for path, content := range map[string]string{
			"go.mod":         "module fake\n\ngo 1.26\n\nrequire " + s.module + " " + s.version + " // indirect\n\nreplace " + s.module + " => ./server\n",
			"go.sum":         "",
			"server/go.mod":  "module " + s.module + "\n\ngo 1.26\n",
			"server/main.go": "package main\n\nfunc main() {}\n",
		} {
			require.NoError(t, os.WriteFile(filepath.Join(module, path), []byte(content), 0o600))
		}
	}
	below := filepath.Join(root, "some", "package")
	require.NoError(t, os.MkdirAll(below, 0o755))
	t.Chdir(below)
	return servers
}

func TestTheCollectorIsBuiltBehindTheServersThatAreShownWithIt(t *testing.T) {
	root := filepath.Dir(filepath.Dir(fakeCheckout(t)))
	sources(t, root)
	builds, err := FindMissing(t.Context(), nil, "consul", CollectorName, "etcd")
	require.NoError(t, err)
	var order []string
	for _, j := range builds.missing {
		order = append(order, j.server())
	}
	require.Equal(t, []string{"etcd", CollectorName, "consul"}, order)
	require.True(t, builds.Missing("jaeger", "consul"))

	require.NoError(t, builds.Run(t.Context(), "etcd"))
	require.False(t, builds.Missing("etcd"))
	require.True(t, builds.Missing(CollectorName))
}

func TestTheCollectorIsBuiltAgainWhenItsSourcesAreNewer(t *testing.T) {
	root := filepath.Dir(filepath.Dir(fakeCheckout(t)))
	sources(t, root)
	stale := func() bool {
		t.Helper()
		found, err := findCollector()
		require.NoError(t, err)
		return found.job != nil
	}
	require.True(t, stale(), "it is not there")
	binary := filepath.Join(root, "distribution", "_build", "otelcol-infra")
	require.NoError(t, os.MkdirAll(filepath.Dir(binary), 0o755))
	require.NoError(t, os.WriteFile(binary, nil, 0o700))
	require.False(t, stale())
	for source, want := range map[string]bool{
		"go.mod": true, "receiver/a/config.go": true, "internal/b.go": true,
		"receiver/a/config_test.go": false, "receiver/a/README.md": false,
	} {
		path := filepath.Join(root, source)
		before, err := os.Stat(path)
		require.NoError(t, err)
		later := time.Now().Add(time.Hour)
		require.NoError(t, os.Chtimes(path, later, later))
		require.Equal(t, want, stale(), source)
		require.NoError(t, os.Chtimes(path, before.ModTime(), before.ModTime()))
	}
	path, err := Binary(t.Context(), CollectorName, nil)
	require.NoError(t, err)
	require.Equal(t, binary, path)
}

// sources makes files that a collector is made of.
func sources(t *testing.T, root string) {
	t.Helper()
	for _, path := range []string{
		"go.mod", "go.sum", "builder-config.yaml", "processor/c.go", "internal/b.go",
		"receiver/a/config.go", "receiver/a/config_test.go", "receiver/a/README.md",
	} {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
}
