// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// imageIndex unpacks the image of the release.
func imageIndex(t *testing.T, p published) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	shell(t, dir, "tar", "--extract", "--file", filepath.Join(p.folder, "otelcol-infra_0.2.0_image.tar"))
	outer, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, "ghcr.io/otelcol-infra/otelcol-infra:0.2.0", manifest.Manifests[0].Annotations["io.containerd.image.name"])
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return index
}

// amd64 returns the only image of the release that the tests build.
func amd64(t *testing.T, index v1.ImageIndex) v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, &v1.Platform{OS: "linux", Architecture: "amd64"}, manifest.Manifests[0].Platform)
	img, err := index.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return img
}

func TestTheImageIsValidAndARegistryKeepsIt(t *testing.T) {
	index := imageIndex(t, released(t))
	require.NoError(t, validate.Index(index))
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/otelcol-infra:0.2.0")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index))
	pulled, err := remote.Index(ref)
	require.NoError(t, err)
	require.NoError(t, validate.Index(pulled))
	want, err := index.Digest()
	require.NoError(t, err)
	got, err := pulled.Digest()
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestTheImageSaysWhatItIs(t *testing.T) {
	p := released(t)
	config, err := amd64(t, imageIndex(t, p)).ConfigFile()
	require.NoError(t, err)
	commit := strings.TrimSpace(shell(t, p.source, "git", "rev-parse", "HEAD"))
	assert.Equal(t, "0.2.0", config.Config.Labels["org.opencontainers.image.version"])
	assert.Equal(t, commit, config.Config.Labels["org.opencontainers.image.revision"])
	assert.Equal(t, "Apache-2.0", config.Config.Labels["org.opencontainers.image.licenses"])
	assert.Equal(t, "10001:10001", config.Config.User)
	assert.Equal(t, []string{"/usr/bin/otelcol-infra"}, config.Config.Entrypoint)
	assert.Equal(t, strings.TrimSpace(shell(t, p.source, "git", "show", "--no-patch", "--format=%ct")), strconv.FormatInt(config.Created.Unix(), 10))
}

// unpacked is the image's file system, as a container engine would mount it.
func unpacked(t *testing.T, img v1.Image) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the image's files have owners, and chroot runs it")
	}
	root := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o755)) // the test's folder, which other users pass through
	require.NoError(t, os.Chmod(root, 0o755))
	files := mutate.Extract(img)
	defer files.Close()
	cmd := exec.Command("tar", "--extract", "--numeric-owner", "--same-permissions", "--directory", root)
	cmd.Stdin = files
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return root
}

func TestTheImageHoldsTheCollectorAndNoShell(t *testing.T) {
	p := released(t)
	root := unpacked(t, amd64(t, imageIndex(t, p)))
	var executables []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if entry.Type().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			executables = append(executables, strings.TrimPrefix(path, root))
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		if name := strings.TrimPrefix(path, root); name != "" && name != "/var/lib/otelcol-infra" {
			assert.Zero(t, stat.Uid, "%s is root's", name)
			assert.Zero(t, info.Mode().Perm()&0o022, "%s is writable for others", name)
		}
		return nil
	}))
	assert.Equal(t, []string{"/usr/bin/otelcol-infra"}, executables)
	state, err := os.Stat(filepath.Join(root, "var/lib/otelcol-infra"))
	require.NoError(t, err)
	assert.Equal(t, fs.ModeDir|0o700, state.Mode())
	assert.Equal(t, uint32(10001), state.Sys().(*syscall.Stat_t).Uid) //nolint:forcetypeassert // it is Linux

	for _, file := range []string{"standalone.yaml", "status.yaml"} {
		assert.FileExists(t, filepath.Join(root, "etc/otelcol-infra", file))
	}
	notices, err := os.ReadFile(filepath.Join(root, "usr/share/doc/otelcol-infra/THIRD-PARTY-NOTICES.txt"))
	require.NoError(t, err)
	assert.Contains(t, string(notices), "go.etcd.io/etcd/client/v3")

	certificates, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certificates))
	assert.Greater(t, strings.Count(string(certificates), "BEGIN CERTIFICATE"), 100)
}

// container is a collector in the image's file system.
type container struct {
	cmd       *exec.Cmd
	health    string
	telemetry string
	log       *bytes.Buffer
	ended     chan error
}

// start runs the image as an engine would: its user, command and environment,
// with more of each. prefix is the command that enters the file system.
func start(t *testing.T, img v1.Image, prefix []string, env ...string) *container {
	t.Helper()
	config, err := img.ConfigFile()
	require.NoError(t, err)
	ports := freePorts(t, 8)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	args := append(append(append([]string{}, prefix...), config.Config.Entrypoint...), config.Config.Cmd...)
	c := &container{cmd: exec.Command(args[0], args[1:]...), health: at(0), telemetry: at(1), log: &bytes.Buffer{}, ended: make(chan error, 1)}
	c.cmd.Env = append(append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, config.Config.Env...), // as engines do
		"HEALTH_CHECK_ENDPOINT="+at(0), fmt.Sprintf("TELEMETRY_PORT=%d", ports[1]), "PROMETHEUS_EXPORTER_ENDPOINT="+at(2),
		"APPLICATIONS_EXPORTER_ENDPOINT="+at(3), "OTLP_GRPC_ENDPOINT="+at(4), "OTLP_HTTP_ENDPOINT="+at(5))
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, c.cmd.Start())
	go func() { c.ended <- c.cmd.Wait() }()
	t.Cleanup(func() { c.cmd.Process.Kill() }) //nolint:errcheck // has usually ended
	return c
}

// healthy waits until the health check answers.
func (c *container) healthy(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-c.ended:
			t.Fatalf("the collector ended: %v\n%s", err, c.log)
		default:
		}
		response, err := http.Get("http://" + c.health + "/status")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			c.stop(t)
			t.Fatalf("not healthy after a minute: %v %v\n%s", response, err, c.log)
		}
	}
}

// stop ends the collector as an engine does.
func (c *container) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-c.ended:
		require.NoError(t, err, "%s", c.log)
	case <-time.After(30 * time.Second):
		t.Fatalf("did not end on SIGTERM\n%s", c.log)
	}
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()                                     // after all are taken
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // of a TCP listener
	}
	return ports
}

func chroot(root, user string) []string {
	return []string{"chroot", "--userspec=" + user, "--groups=", root}
}

// The same string identifies the release in `--version` and in the telemetry.
func TestTheImageRunsAsItsUserAndReportsItsVersion(t *testing.T) {
	p := released(t)
	img := amd64(t, imageIndex(t, p))
	root := unpacked(t, img)
	version := strings.Fields(shell(t, root, "chroot", root, "/usr/bin/otelcol-infra", "--version"))
	commit := strings.TrimSpace(shell(t, p.source, "git", "show", "--no-patch", "--date=format-local:%Y%m%d", "--abbrev=12", "--format=%cd.%H"))[:21]
	require.Equal(t, []string{"otelcol-infra", "version", "0.2.0+" + commit}, version)

	c := start(t, img, chroot(root, "10001:10001"))
	c.healthy(t)
	response, err := http.Get("http://" + c.telemetry + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Contains(t, string(metrics), `service_version="`+version[2]+`"`)
	c.stop(t)
	assert.NotEmpty(t, names(t, filepath.Join(root, "var/lib/otelcol-infra")))
}

func TestTheImageRunsAsAnotherUserOnAReadOnlyFileSystem(t *testing.T) {
	img := amd64(t, imageIndex(t, released(t)))
	root := unpacked(t, img)
	state := t.TempDir()
	require.NoError(t, os.Chown(state, 23456, 0))
	if output, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("needs mounts of its own: unshare --mount: %v: %s", err, output)
	}
	const mounts = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount --bind "$1" "$0/var/lib/otelcol-infra" && ` +
		`! touch "$0/etc/written" 2>/dev/null && exec "${@:2}"`
	c := start(t, img, append([]string{"unshare", "--mount", "bash", "-c", mounts, root, state}, chroot(root, "23456:0")...))
	c.healthy(t)
	c.stop(t)
	assert.NotEmpty(t, names(t, state))
	assert.Empty(t, names(t, filepath.Join(root, "var/lib/otelcol-infra")))
}

// names returns what lies in a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func TestTheImageKnowsTimeZones(t *testing.T) {
	img := amd64(t, imageIndex(t, released(t)))
	root := unpacked(t, img)
	const configuration = `
receivers:
  filelog/zone:
    include: [/var/lib/otelcol-infra/none.log]
    operators:
      - {type: regex_parser, regex: '^(?P<time>\S+)', timestamp: {parse_from: attributes.time, layout: '%Y-%m-%d', location: Asia/Tokyo}}
service:
  pipelines:
    logs/zone: {receivers: [filelog/zone], exporters: [file/events]}
`
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/otelcol-infra/zone.yaml"), []byte(configuration), 0o644))
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config.Config.Cmd = append(config.Config.Cmd, "--config", "/etc/otelcol-infra/zone.yaml")
	img, err = mutate.Config(img, config.Config)
	require.NoError(t, err)
	c := start(t, img, chroot(root, "10001:10001"))
	c.healthy(t)
	c.stop(t)
	c = start(t, img, chroot(root, "10001:10001"), "ZONEINFO=")
	require.Error(t, <-c.ended, "without the image's time zones it cannot start")
	assert.Contains(t, c.log.String(), "Asia/Tokyo")
}
