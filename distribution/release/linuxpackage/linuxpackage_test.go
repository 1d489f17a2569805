// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linuxpackage_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/linuxpackage"
)

const source = "../../.."

// options are of a package with a program in place of the collector, which is
// large. It is linked as the collector is.
func options(t *testing.T, arch string) linuxpackage.Options {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(program, []byte("package main\n\nfunc main() { println(\"otelcol-infra version 0.0.0\") }\n"), 0o600))
	binary := filepath.Join(dir, "otelcol-infra")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	notices := filepath.Join(dir, "THIRD-PARTY-NOTICES.txt")
	require.NoError(t, os.WriteFile(notices, []byte("none\n"), 0o600))
	return linuxpackage.Options{
		Source: source, Binary: binary, Arch: arch, Version: "0.2.0", Notices: notices, Output: t.TempDir(),
		Time: time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC),
	}
}

func build(t *testing.T, o linuxpackage.Options) (deb, rpm, apk string) {
	t.Helper()
	paths, err := linuxpackage.Build(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, paths, 3)
	return paths[0], paths[1], paths[2]
}

// tool is the path of a program that not every machine has.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %[1]s on PATH: apt-get install %[1]s", name)
	}
	return path
}

// run gives the output of a program that has to end well.
func run(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := tryRun(t, path, args...)
	require.NoError(t, err, "%s %s\n%s", path, strings.Join(args, " "), out)
	return out
}

func tryRun(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		arch, version string
		names         []string
	}{
		{"amd64", "0.2.0", []string{"otelcol-infra_0.2.0_amd64.deb", "otelcol-infra-0.2.0-1.x86_64.rpm", "otelcol-infra_0.2.0_x86_64.apk"}},
		{"arm64", "0.3.0-rc.1", []string{
			"otelcol-infra_0.3.0~rc.1_arm64.deb", "otelcol-infra-0.3.0~rc.1-1.aarch64.rpm", "otelcol-infra_0.3.0_rc1_aarch64.apk",
		}},
	} {
		t.Run(tc.arch+" "+tc.version, func(t *testing.T) {
			o := options(t, tc.arch)
			o.Version = tc.version
			deb, rpm, apk := build(t, o)
			names := []string{filepath.Base(deb), filepath.Base(rpm), filepath.Base(apk)}
			assert.Equal(t, tc.names, names)
		})
	}
}

// The same files make the same bits: with other times, in another folder, and signed.
func TestTwoBuildsAreEqual(t *testing.T) {
	o := options(t, "amd64")
	o.RPMKey, _ = pgpKey(t)
	o.APKKey, _ = rsaKey(t)
	deb, rpm, apk := build(t, o)

	again := o
	again.Output, again.Source = t.TempDir(), t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(again.Source, "distribution"), os.DirFS(filepath.Join(source, "distribution", "."))))
	for _, name := range []string{"LICENSE", "collector-config.yaml"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(again.Source, name), content, 0o600))
	}
	debAgain, rpmAgain, apkAgain := build(t, again)
	for first, second := range map[string]string{deb: debAgain, rpm: rpmAgain, apk: apkAgain} {
		want, err := os.ReadFile(first)
		require.NoError(t, err)
		got, err := os.ReadFile(second)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), filepath.Base(first))
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	good := options(t, "amd64")
	for want, change := range map[string]func(*linuxpackage.Options){
		`architecture "386" has no package: choose amd64 or arm64`: func(o *linuxpackage.Options) { o.Arch = "386" },
		`version "v0.2.0": write it as 0.2.0`:                      func(o *linuxpackage.Options) { o.Version = "v0.2.0" },
		`version "0.2.0+20261130.673143f": write it as 0.2.0`:      func(o *linuxpackage.Options) { o.Version = "0.2.0+20261130.673143f" },
		"no time: give that of the commit":                         func(o *linuxpackage.Options) { o.Time = time.Time{} },
		"binary: stat /nowhere":                                    func(o *linuxpackage.Options) { o.Binary = "/nowhere" },
		"RPM key: stat /nowhere":                                   func(o *linuxpackage.Options) { o.RPMKey = "/nowhere" },
		"distribution/linux/nfpm.yaml: open":                       func(o *linuxpackage.Options) { o.Source = t.TempDir() },
	} {
		o := good
		change(&o)
		_, err := linuxpackage.Build(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
	left, err := os.ReadDir(good.Output)
	require.NoError(t, err)
	assert.Empty(t, left, "no half package stays")
}

func TestAKeyWithAPassphraseIsRefused(t *testing.T) {
	o := options(t, "amd64")
	_, o.RPMKey = pgpKey(t)
	_, err := linuxpackage.Build(t.Context(), o)
	require.ErrorContains(t, err, "holds no private key: export it with gpg --armor --export-secret-keys")
}

// configurations are the files that a package keeps when an administrator has edited them.
func configurations(t *testing.T) (paths []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(source, "distribution", "config", "*.yaml"))
	require.NoError(t, err)
	for _, name := range append(files, "otelcol-infra.env", "standalone.yaml", "status.yaml", "events-otlp.yaml") {
		paths = append(paths, "/etc/otelcol-infra/"+filepath.Base(name))
	}
	return paths
}
