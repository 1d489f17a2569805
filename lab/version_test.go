// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"
)

func TestVersionInWhatServersPrint(t *testing.T) {
	for _, c := range []struct {
		server, output, version string
		usable                  bool
	}{
		{"consul", "Consul v1.19.2\nBuild Date 1970-01-01T00:00:01Z\n", "1.19.2", true},
		{"consul", "Consul v1.19.2+ent\nRevision 048f1936\n", "1.19.2+ent", true},
		{"consul", "Consul v1.20.0-dev\nRevision 048f1936\n", "1.20.0-dev", true},
		{"consul", "Consul v1.19.2-dev\n", "1.19.2-dev", false},
		{"consul", "Consul v1.8.7+dfsg1\n", "1.8.7+dfsg1", false},
		{"etcd", "etcd Version: 3.7.3\nGit SHA: Not provided (use ./build instead of go build)\nGo Version: go1.26.8\n", "3.7.3", true},
		{"etcd", "etcd Version: 3.3.25\nGit SHA: Not provided (use ./build instead of go build)\n", "3.3.25", false},
		{"etcd", "etcd Version: 3.10.0-alpha.0\n", "3.10.0-alpha.0", true},
		{"vault", "Vault v1.19.5 (0ff14ed8f1b6), built 2025-05-29T09:17:06Z\n", "1.19.5", true},
		{"vault", "Vault v1.19.5+ent.hsm.fips1402 (0ff14ed8f1b6), built 2025-05-29T09:17:06Z\n", "1.19.5+ent.hsm.fips1402", true},
		{"vault", "Vault v1.9.10 ('x'), built 2022-09-30T14:48:50Z (cgo)\n", "1.9.10", false},
		{"vault", "OpenBao v2.1.0 (1a2b3c), built 2024-11-29T15:34:22Z\n", "", false},
		{"jaeger", `{"gitCommit":"1ffd2ee6","gitVersion":"v2.13.0","buildDate":"2025-12-03T20:17:43Z"}`, "2.13.0", true},
		{"jaeger", `{"gitCommit":"1ffd2ee6","gitVersion":"v2.0.0","buildDate":"2024-11-10T20:17:43Z"}`, "2.0.0", false},
		{"jaeger", `{"gitCommit":"","gitVersion":"","buildDate":""}`, "", false}, // by go build
		{"prometheus", "prometheus, version 3.15.0 (branch: HEAD, revision: 1f5f6f2)\n  go version:       go1.26.8\n", "3.15.0", true},
		{"prometheus", "prometheus, version 3.100.0-rc.0 (branch: HEAD, revision: 1f5f6f2)\n", "3.100.0-rc.0", true},
		{"prometheus", "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+deb12u1)\n", "2.42.0+ds", false},
		{"prometheus", "prometheus, version 2.45.0~rc.0+ds (branch: debian/sid, revision: 2.45.0)\n", "2.45.0-rc.0+ds", false},
		{"prometheus", "prometheus, version  (branch: , revision: unknown)\n  go version:       go1.26.8\n", "", false}, // by go build
		{"prometheus", "prometheus, version unknown (branch: , revision: unknown)\n", "", false},
		{"prometheus", "", "", false},
		{"temporal", "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)\n", "1.5.1", true},
		{"temporal", "temporal version 1.4.0 (Server 1.28.0, UI 2.39.0)\n", "1.4.0", false},
		{"temporal", "temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)\n", "", false}, // by go build
		{"kube-apiserver", "Kubernetes v1.37.2\n", "1.37.2", true},
		{"kube-apiserver", "Kubernetes v1.36.0\n", "1.36.0", false},
		{"kube-apiserver", "Kubernetes v0.0.0-master+$Format:%H$\n", "", false}, // by go build
	} {
		picked, err := recipesOf([]string{c.server})
		require.NoError(t, err)
		version, ok := picked[0].versionIn(c.output)
		require.Equal(t, c.version != "", ok, c.output)
		if ok {
			require.Equal(t, c.version, version)
		}
		require.Equal(t, c.usable, ok && picked[0].newEnough(version), c.output)
	}
}

func TestAnOldServerOnPathIsNoticedBeforeAnythingIsBuilt(t *testing.T) {
	fakeCheckout(t) // LAB_CONSUL=build
	old := fakeServer(t, "etcd", "etcd Version: 3.0.0")
	addToPath(t, old)
	t.Setenv("LAB_ETCD", "")
	var progress bytes.Buffer
	require.NoError(t, Build(t.Context(), &progress, "consul", "etcd"))
	lines := strings.Split(progress.String(), "\n")
	require.Equal(t, "lab: the etcd on PATH, "+old+", is 3.0.0; "+oldest(t, "etcd")+" or newer is needed, so one is built", lines[0])
	require.Contains(t, lines[1], "lab: building etcd v3.4.5 (1 of 2)")
	require.Contains(t, progress.String(), "lab: built consul v1.2.3 (2 of 2)")

	progress.Reset()
	path, err := Binary(t.Context(), "etcd", &progress)
	require.NoError(t, err)
	require.Regexp(t, `/otelcol-infra/servers/etcd-v3\.4\.5-[0-9a-f]{12}/etcd$`, path)
	require.Empty(t, progress.String(), "it was said")

	require.NoError(t, Build(t.Context(), &progress, "etcd"))
	require.Equal(t, "lab: the etcd on PATH, "+old+", is 3.0.0; "+oldest(t, "etcd")+" or newer is needed, so the one that was built is used\n", progress.String())
}

func TestAServerOnPathWhoseVersionIsUnknownIsNotUsed(t *testing.T) {
	fakeCheckout(t)
	for name, c := range map[string]struct{ script, want string }{
		"prints none":      {"echo etcd", "etcd --version prints none"},
		"does not know it": {"echo unknown option >&2; exit 2", "etcd --version: exit status 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			unknown := fakeScript(t, "etcd", c.script)
			addToPath(t, unknown)
			t.Setenv("LAB_ETCD", "")
			var progress bytes.Buffer
			path, err := Binary(t.Context(), "etcd", &progress)
			require.NoError(t, err)
			require.NotEqual(t, unknown, path)
			line, _, _ := strings.Cut(progress.String(), "\n")
			require.Equal(t, "lab: the etcd on PATH, "+unknown+", is of an unknown version: "+c.want+"; "+oldest(t, "etcd")+
				" or newer is needed (LAB_ETCD="+unknown+" uses it all the same), so one is built", line)

			progress.Reset()
			t.Setenv("LAB_ETCD", unknown)
			require.NoError(t, Build(t.Context(), &progress, "etcd"))
			require.Equal(t, "lab: using the etcd that LAB_ETCD names, "+unknown+", although it is of an unknown version: "+c.want+"\n", progress.String())
			path, err = Binary(t.Context(), "etcd", nil)
			require.NoError(t, err)
			require.Equal(t, unknown, path)
		})
	}
}

func TestAnOldServerThatIsNamedIsAnErrorBeforeAnythingIsBuilt(t *testing.T) {
	fakeCheckout(t)
	old := fakeServer(t, "etcd", "etcd Version: 3.0.0")
	t.Setenv("LAB_ETCD", old)
	want := "LAB_ETCD names etcd of an old version: " + old + " is 3.0.0; set it to the path of an executable that is " + oldest(t, "etcd") +
		` or newer, to "build" to build one, or unset it`
	var progress bytes.Buffer
	require.EqualError(t, Build(t.Context(), &progress, "consul", "etcd"), want)
	_, err := Start(t.Context(), Options{Servers: []string{"consul", "etcd"}, Progress: &progress})
	require.EqualError(t, err, want)
	require.Empty(t, progress.String(), "consul was not built")
	_, err = Binary(t.Context(), "etcd", nil)
	require.EqualError(t, err, want)
}

func TestANewServerOnPathIsUsed(t *testing.T) {
	fakeCheckout(t)
	on := fakeServer(t, "etcd", "etcd Version: "+oldest(t, "etcd"))
	addToPath(t, on)
	t.Setenv("LAB_ETCD", "")
	var progress bytes.Buffer
	require.NoError(t, Build(t.Context(), &progress, "etcd"))
	require.Equal(t, "lab: using the etcd on PATH, "+on+", "+oldest(t, "etcd")+" (LAB_ETCD=build builds one instead)\n", progress.String())
}

func TestAnOldServerOnPathOutsideACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	addToPath(t, fakeServer(t, "etcd", "etcd Version: 3.0.0"))
	t.Setenv("LAB_ETCD", "")
	_, err := Binary(t.Context(), "etcd", nil)
	require.ErrorContains(t, err, "is 3.0.0; "+oldest(t, "etcd")+" or newer is needed: no lab/servers")
}

func TestAServerThatHangsIsNotWaitedFor(t *testing.T) {
	hangs := fakeScript(t, "etcd", "exec sleep 600")
	picked, err := recipesOf([]string{"etcd"})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, picked[0].inspect(ctx, hangs).unknown, "etcd --version: it did not end within")
}

// The servers that are built print what they are, if they know.
func TestBuiltServersAreNewEnough(t *testing.T) {
	needsServers(t)
	knows := map[string]bool{"consul": true, "etcd": true, "etcdctl": true, "etcdutl": true, "vault": true} // Others get it from those who release them.
	for _, r := range recipes {
		if r.onDemand {
			continue // It is built by the test that needs it.
		}
		t.Setenv(r.env, buildValue)
		path, err := Binary(t.Context(), r.name, os.Stderr)
		require.NoError(t, err)
		in := r.inspect(t.Context(), path)
		require.Equal(t, knows[r.name], in.unknown == nil, "%s: %s", r.name, in)
		if knows[r.name] {
			require.True(t, in.usable(), "%s %s", r.name, in)
			require.Contains(t, path, "/"+r.name+"-v"+in.version+"-")
		} else {
			require.ErrorContains(t, in.unknown, "prints none")
		}
	}
}

func oldest(t *testing.T, name string) string {
	t.Helper()
	picked, err := recipesOf([]string{name})
	require.NoError(t, err)
	require.True(t, semver.IsValid("v"+picked[0].oldest))
	return picked[0].oldest
}

// fakeServer is one that knows nothing but its version.
func fakeServer(t *testing.T, name, version string) string {
	t.Helper()
	return fakeScript(t, name, "case \"$*\" in version|--version) echo '"+version+"';; *) exit 1;; esac")
}

func fakeScript(t *testing.T, name, script string) string {
	t.Helper()
	path := fakeExecutable(t, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	return path
}

// addToPath leaves the go command there.
func addToPath(t *testing.T, path string) {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"))
}
