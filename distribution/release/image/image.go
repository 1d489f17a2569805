// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package image makes the OCI image of the collector without a container engine:
// a static binary without a shell, for several architectures.
package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/archive"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/payload"
)

// Name is the image's name in documentation and labels. A registry of one's own
// gives it another.
const Name = "ghcr.io/otelcol-infra/otelcol-infra"

const repository = "https://github.com/otelcol-infra/otelcol-infra"

// Options are what [Build] needs.
type Options struct {
	Source   string                    // root of the checkout: configurations
	Binaries map[build.Platform]string // those of Linux become images
	Stamp    build.Stamp
	Notices  string // file of the notices of others
}

// Write makes the image for each Linux binary, and writes an index of them into a
// tar file in the OCI layout.
func Write(ctx context.Context, path string, o Options) (err error) {
	index, err := Build(ctx, o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return fmt.Errorf("create a folder for the image: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	// The names by which containerd, Docker and Podman load it.
	err = out.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          Name + ":" + o.Stamp.Version,
		"org.opencontainers.image.ref.name": o.Stamp.Version,
	}))
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	entries, err := under(dir)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return errors.Join(archive.Tar(file, entries, o.Stamp.Time), file.Close())
}

// Build makes the image for each Linux binary, and an index of them.
func Build(ctx context.Context, o Options) (v1.ImageIndex, error) {
	system, err := base(ctx, o.Source)
	if err != nil {
		return nil, err
	}
	foundation, err := layer(system, o.Stamp.Time)
	if err != nil {
		return nil, err
	}
	documentation := payload.Licences(o.Source, documents, o.Notices)
	configurations, err := payload.Configurations(o.Source, configs)
	if err != nil {
		return nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range build.Released() {
		binary, ok := o.Binaries[p]
		if p.OS != "linux" || !ok {
			continue
		}
		files := append([]archive.Entry{{Name: executable, Mode: 0o755, Path: binary}}, documentation...)
		collector, err := layer(append(files, configurations...), o.Stamp.Time)
		if err != nil {
			return nil, err
		}
		img, err := one(p, o.Stamp, foundation, collector)
		if err != nil {
			return nil, fmt.Errorf("make the image for %s: %w", p, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.OS, Architecture: p.Arch}},
		})
	}
	annotated, ok := mutate.Annotations(index, labels(o.Stamp)).(v1.ImageIndex)
	if !ok {
		return nil, errors.New("annotate the index: go-containerregistry returned none")
	}
	return annotated, nil
}

func one(p build.Platform, stamp build.Stamp, foundation, collector v1.Layer) (v1.Image, error) {
	created := v1.Time{Time: stamp.Time}
	img, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&v1.ConfigFile{Created: created, OS: p.OS, Architecture: p.Arch, RootFS: v1.RootFS{Type: "layers"}, Config: config(stamp)})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img,
		mutate.Addendum{Layer: foundation, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "release", Comment: "certificates, time zones, folders"}},
		mutate.Addendum{Layer: collector, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "release", Comment: "otelcol-infra " + stamp.Full}},
	)
}

// config is how the image runs: with the same configuration as `make run`, unless
// other arguments are passed.
func config(stamp build.Stamp) v1.Config {
	return v1.Config{
		User:       strconv.Itoa(User) + ":" + strconv.Itoa(User),
		Entrypoint: []string{"/" + executable},
		Cmd: []string{
			"--config", "/" + configs + "/standalone.yaml", "--config", "/" + configs + "/status.yaml",
			"--feature-gates=extension.healthcheck.useComponentStatus",
		},
		WorkingDir: "/", // Another user, whose state is mounted elsewhere, may not enter ours.
		Env: []string{
			"STATE_DIRECTORY=/" + state,
			"HEALTH_CHECK_ENDPOINT=0.0.0.0:13134", // A probe comes from outside of the container.
			// No limit of memory: each configuration has its own, and none here would fit all.
			"ZONEINFO=/" + timeZones,
		},
		Volumes: map[string]struct{}{"/" + state: {}},
		ExposedPorts: map[string]struct{}{
			"4317/tcp": {}, "4318/tcp": {}, "4319/tcp": {}, // gateway.yaml and agent.yaml: OTLP, and OTLP of other gateways
			"14317/tcp": {}, "14318/tcp": {}, // standalone.yaml: OTLP
			"9464/tcp": {}, "9465/tcp": {}, "8888/tcp": {}, "13134/tcp": {}, // metrics of servers, of applications, its own; health
		},
		Labels: labels(stamp),
	}
}

// labels are also the annotations of the index.
func labels(stamp build.Stamp) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":         "otelcol-infra",
		"org.opencontainers.image.description":   "OpenTelemetry Collector distribution for Consul, etcd and Vault",
		"org.opencontainers.image.version":       stamp.Version,
		"org.opencontainers.image.revision":      stamp.Commit,
		"org.opencontainers.image.created":       stamp.Time.Format(time.RFC3339),
		"org.opencontainers.image.source":        repository,
		"org.opencontainers.image.url":           repository,
		"org.opencontainers.image.documentation": repository + "/blob/v" + stamp.Version + "/docs/install.md",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.vendor":        "The otelcol-infra Authors",
	}
}

// layer keeps the compressed layer in memory, some 30 MB.
func layer(entries []archive.Entry, at time.Time) (v1.Layer, error) {
	var uncompressed bytes.Buffer
	if err := archive.Tar(&uncompressed, entries, at); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(uncompressed.Bytes())), nil }
	l, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.DefaultCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, fmt.Errorf("make a layer of the image: %w", err)
	}
	return l, nil
}

// under returns the files below dir, and their folders.
func under(dir string) ([]archive.Entry, error) {
	var entries []archive.Entry
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		e := archive.Entry{Name: filepath.ToSlash(name), Mode: 0o644, Path: path}
		if entry.IsDir() {
			e.Mode = fs.ModeDir | 0o755
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the image's files: %w", err)
	}
	return entries, nil
}
