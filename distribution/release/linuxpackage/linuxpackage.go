// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package linuxpackage makes the packages deb, rpm and apk of a binary that is
// built already. distribution/linux/nfpm.yaml describes what is in them.
package linuxpackage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk" // registers the format
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format

	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
)

const (
	description = "distribution/linux/nfpm.yaml"
	docs        = "/usr/share/doc/otelcol-infra/"
)

var formats = []string{"deb", "rpm", "apk"}

// Options say what is packaged. All but Notices and the keys are required.
type Options struct {
	// Source is the root of the checkout.
	Source string
	// Binary is the collector for linux and Arch.
	Binary string
	// Arch is amd64 or arm64.
	Arch string
	// Version is a semantic version without build metadata, such as 0.2.0 or
	// 0.3.0-rc.1.
	Version string
	// Time is that of every file, of the package and of its signature.
	Time time.Time
	// Notices is a file with the licences of what the binary holds.
	Notices string
	// Output is an existing folder.
	Output string
	// RPMKey is a file with an OpenPGP private key without passphrase, which signs
	// the rpm.
	RPMKey string
	// APKKey is a file with an RSA private key in PEM, which signs the apk.
	APKKey string
}

func (o Options) validate() error {
	switch {
	case !slices.Contains([]string{"amd64", "arm64"}, o.Arch):
		return fmt.Errorf("architecture %q has no package: choose amd64 or arm64", o.Arch)
	case !build.Releasable(o.Version):
		return fmt.Errorf("version %q: write it as 0.2.0 or 0.3.0-rc.1, without v and without build metadata", o.Version)
	case o.Time.IsZero():
		return errors.New("no time: give that of the commit, so that the same commit makes the same package")
	}
	for what, path := range map[string]string{"binary": o.Binary, "notices": o.Notices, "RPM key": o.RPMKey, "APK key": o.APKKey} {
		if path == "" && what != "binary" {
			continue
		}
		if info, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		} else if !info.Mode().IsRegular() {
			return fmt.Errorf("%s: %s is not a file", what, path)
		}
	}
	return nil
}

// Build writes a deb, an rpm and an apk into o.Output, and returns their paths in
// this order. The same files make the same bits.
func Build(ctx context.Context, o Options) ([]string, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("package: %w", err)
	}
	generated, err := os.MkdirTemp("", "otelcol-infra-package-")
	if err != nil {
		return nil, fmt.Errorf("package: %w", err)
	}
	defer os.RemoveAll(generated) //nolint:errcheck // a folder for temporary files
	var paths []string
	for _, format := range formats {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		path, err := pack(o, format, generated)
		if err != nil {
			return nil, fmt.Errorf("package %s of %s for %s: %w", format, o.Version, o.Arch, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func pack(o Options, format, generated string) (path string, err error) {
	config, err := nfpm.ParseFile(filepath.Join(o.Source, description))
	if err != nil {
		return "", fmt.Errorf("%s: %w", description, err)
	}
	info, err := config.Get(format)
	if err != nil {
		return "", fmt.Errorf("%s: %w", description, err)
	}
	info.Arch, info.Version, info.Prerelease, info.MTime = o.Arch, o.Version, "", o.Time
	if release, prerelease, found := strings.Cut(o.Version, "-"); found && format == "apk" {
		info.Version = release + "-" + strings.Replace(prerelease, ".", "", 1) // apk knows 0.3.0_rc1, not 0.3.0_rc.1.
	}
	info.RPM.BuildHost = "localhost" // not the name of whichever machine builds
	if err := addFiles(info, o, format, generated); err != nil {
		return "", err
	}
	if err := copyScripts(info, o, filepath.Join(generated, format)); err != nil {
		return "", err
	}
	if o.RPMKey != "" {
		info.RPM.Signature.SignFn = signer(o.RPMKey, o.Time)
	}
	info.APK.Signature.KeyFile = o.APKKey
	info.APK.Signature.KeyName = "otelcol-infra"
	nfpm.WithDefaults(info)

	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	path = filepath.Join(o.Output, packager.ConventionalFileName(info))
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(path) // half a package
		}
	}()
	return path, packager.Package(info, io.Writer(file))
}

// addFiles adds what the description cannot name.
func addFiles(info *nfpm.Info, o Options, format, generated string) error {
	for _, content := range info.Contents {
		content.Source = filepath.Join(o.Source, content.Source)
	}
	add := func(source, destination, kind string, mode os.FileMode) {
		info.Contents = append(info.Contents, &files.Content{
			Source: source, Destination: destination, Type: kind, FileInfo: &files.ContentFileInfo{Mode: mode},
		})
	}
	add(o.Binary, "/usr/bin/otelcol-infra", "", 0o755)
	configurations, err := filepath.Glob(filepath.Join(o.Source, "distribution", "config", "*.yaml"))
	if err != nil {
		return err
	}
	for _, source := range configurations {
		add(source, "/etc/otelcol-infra/"+filepath.Base(source), files.TypeConfigNoReplace, 0o644)
	}
	doc := ""
	if format == "rpm" {
		doc = files.TypeRPMDoc
	}
	if o.Notices != "" {
		add(o.Notices, docs+filepath.Base(o.Notices), doc, 0o644)
	}
	switch format {
	case "deb":
		source, err := writeDebianChangelog(generated, info, o)
		if err != nil {
			return fmt.Errorf("changelog: %w", err)
		}
		add(source, docs+"changelog.gz", "", 0o644)
	case "rpm":
		if info.Changelog, err = writeRPMChangelog(generated, info, o); err != nil {
			return fmt.Errorf("changelog: %w", err)
		}
	}
	for _, content := range info.Contents {
		content.FileInfo.MTime = o.Time
	}
	return nil
}

// copyScripts has scripts with the time of the package: an apk holds that of the file.
func copyScripts(info *nfpm.Info, o Options, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, script := range []*string{
		&info.Scripts.PreInstall, &info.Scripts.PostInstall, &info.Scripts.PreRemove, &info.Scripts.PostRemove,
		&info.APK.Scripts.PostUpgrade,
	} {
		if *script == "" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(o.Source, *script))
		if err != nil {
			return fmt.Errorf("script: %w", err)
		}
		path := filepath.Join(dir, filepath.Base(*script))
		if err := errors.Join(os.WriteFile(path, content, 0o755), os.Chtimes(path, o.Time, o.Time)); err != nil {
			return fmt.Errorf("script: %w", err)
		}
		*script = path
	}
	return nil
}
