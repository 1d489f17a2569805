// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aead.dev/minisign"
	"golang.org/x/term"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/archive"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/build"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/chart"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/checksum"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/image"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/licence"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/linuxpackage"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/payload"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/provenance"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/sbom"
	"github.com/otelcol-infra/otelcol-infra/distribution/release/sign"
)

// all makes everything that is published of a version.
func all(ctx context.Context, c *call) error {
	start := time.Now()
	version := c.flags.String("version", "", "such as 0.2.0")
	key := c.flags.String("key", "", "file of minisign's secret key; without one, nothing is signed")
	rpmKey := c.flags.String("rpm-key", "", "file of an OpenPGP private key that signs the rpm")
	apkKey := c.flags.String("apk-key", "", "file of an RSA private key, in PEM, that signs the apk")
	passwordFile := c.flags.String("password-file", "", "file whose first line is the key's password (default: ask on the terminal)")
	platforms := c.flags.String("platform", "", "platforms, separated by commas, for a trial (default: all that are released)")
	output := c.flags.String("output", "", "folder (default: distribution/_release in the checkout)")
	dirty := c.flags.Bool("allow-dirty", false, "build although the checkout differs from its commit; the version says so")
	if err := c.parse(ctx); err != nil {
		return err
	}
	o := build.Options{Source: c.source, Version: *version, AllowDirty: *dirty, Output: *output, Log: c.stderr}
	if o.Output == "" {
		o.Output = filepath.Join(c.source, "distribution", "_release")
	}
	if *platforms != "" {
		var err error
		if o.Platforms, err = build.ParsePlatforms(*platforms); err != nil {
			return usageError{err}
		}
	}
	var secret *minisign.PrivateKey
	if *key != "" { // before minutes of compiling
		read, err := sign.ReadKey(*key, func() (string, error) { return password(c, *passwordFile) })
		if err != nil {
			return err
		}
		secret = &read
	}
	if err := linuxpackage.CheckKeys(*rpmKey, *apkKey); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Output, 0o755); err != nil {
		return fmt.Errorf("create the folder of the release: %w", err)
	}
	built, err := build.Compile(ctx, o)
	if err != nil {
		return err
	}
	r := &release{call: c, output: o.Output, built: built, rpmKey: *rpmKey, apkKey: *apkKey}
	for _, step := range []struct {
		short string
		run   func(context.Context) error
	}{
		{"reading licences", r.licences},
		{"writing SBOMs", r.sboms},
		{"packing archives", r.archives},
		{"making packages", r.packages},
		{"making the image", r.image},
		{"packing the Helm chart", r.chart},
		{"writing the provenance", r.provenance},
		{"writing checksums", func(context.Context) error { return r.checksums(secret) }},
	} {
		fmt.Fprintf(c.stderr, "release: %s\n", step.short)
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.stderr, "release: %s is in %s, after %s\n", built.Stamp.Full, o.Output, time.Since(start).Round(time.Second))
	return nil
}

// release is one release in the making.
type release struct {
	call      *call
	output    string
	built     build.Result
	rpmKey    string // files
	apkKey    string
	notices   string // file
	modules   []licence.Module
	published []string // paths of what users download
}

// name returns the path of an artefact, and notes that it is published.
func (r *release) name(suffix string) string {
	path := filepath.Join(r.output, "otelcol-infra_"+r.built.Stamp.Version+"_"+suffix)
	r.published = append(r.published, path)
	return path
}

// platforms are those that were built, in the order of [build.Released].
func (r *release) platforms() []build.Platform {
	var built []build.Platform
	for _, p := range build.Released() {
		if r.built.Binaries[p] != "" {
			built = append(built, p)
		}
	}
	return built
}

func (r *release) licences(ctx context.Context) error {
	var err error
	if r.modules, err = licence.Read(ctx, r.built.Module, r.built.Tags, r.platforms()); err != nil {
		return err
	}
	if err := licence.Check(r.modules); err != nil {
		return fmt.Errorf("the collector may not be shipped:\n%w", err)
	}
	r.notices = filepath.Join(r.output, "binaries", licence.NoticesFile)
	if err := os.WriteFile(r.notices, licence.Notices(r.modules), 0o644); err != nil {
		return fmt.Errorf("write the notices of others: %w", err)
	}
	return nil
}

func (r *release) sboms(context.Context) error {
	for _, p := range r.platforms() {
		file, err := os.Create(r.name(p.File() + ".cdx.json"))
		if err != nil {
			return fmt.Errorf("create an SBOM: %w", err)
		}
		if err := errors.Join(sbom.Write(file, r.built.Binaries[p], r.built.Stamp, r.modules), file.Close()); err != nil {
			return fmt.Errorf("write the SBOM for %s: %w", p, err)
		}
	}
	return nil
}

func (r *release) archives(context.Context) error {
	for _, p := range r.platforms() {
		folder := "otelcol-infra_" + r.built.Stamp.Version + "_" + p.File()
		entries := []archive.Entry{{Name: folder + "/" + p.Executable(), Mode: 0o755, Path: r.built.Binaries[p]}}
		configurations, err := payload.Configurations(r.call.source, folder+"/config")
		if err != nil {
			return err
		}
		policies, err := payload.Policies(r.call.source, folder+"/policies")
		if err != nil {
			return err
		}
		entries = append(append(append(entries, configurations...), policies...), payload.Licences(r.call.source, folder, r.notices)...)
		pack, suffix := archive.TarGz, ".tar.gz"
		if p.OS == "windows" {
			pack, suffix = archive.Zip, ".zip"
		}
		if err := pack(r.name(p.File()+suffix), entries, r.built.Stamp.Time); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) packages(ctx context.Context) error {
	for _, p := range r.platforms() {
		if p.OS != "linux" {
			continue
		}
		paths, err := linuxpackage.Build(ctx, linuxpackage.Options{
			Source: r.call.source, Binary: r.built.Binaries[p], Arch: p.Arch, Version: r.built.Stamp.Version, Time: r.built.Stamp.Time,
			Notices: r.notices, Output: r.output, RPMKey: r.rpmKey, APKKey: r.apkKey,
		})
		if err != nil {
			return fmt.Errorf("make the packages for %s: %w", p, err)
		}
		r.published = append(r.published, paths...)
	}
	return nil
}

func (r *release) image(ctx context.Context) error {
	return image.Write(ctx, r.name("image.tar"), image.Options{
		Source: r.call.source, Binaries: r.built.Binaries, Stamp: r.built.Stamp, Notices: r.notices,
	})
}

func (r *release) chart(ctx context.Context) error {
	path, err := chart.Pack(ctx, r.call.source, r.output, r.built.Stamp)
	if path != "" {
		r.published = append(r.published, path)
	}
	return err
}

func (r *release) provenance(context.Context) error {
	published := r.published
	return provenance.Write(r.name("provenance.json"), r.call.source, r.built, published)
}

// checksums writes the list that covers everything else, and signs it.
func (r *release) checksums(key *minisign.PrivateKey) error {
	published := r.published
	list := r.name("sha256sums.txt")
	if err := checksum.Write(list, published); err != nil {
		return err
	}
	if key == nil {
		// An old signature would be that of another list.
		if err := os.Remove(list + sign.Suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the signature of an earlier run: %w", err)
		}
		fmt.Fprintln(r.call.stderr, "release: not signed, as no key was passed: make release VERSION=… KEY=minisign.key")
		return nil
	}
	if _, err := sign.File(*key, list, r.built.Stamp.Time); err != nil {
		return err
	}
	public, err := sign.PublicKey(*key)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.call.stderr, "release: signed; users verify it with minisign -V -P %s -m %s\n", public, filepath.Base(list))
	return nil
}

// password reads the key's password from a file, or from the terminal.
func password(c *call, file string) (string, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(content), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", errors.New("there is no terminal to ask for it: pass --password-file")
	}
	fmt.Fprint(c.stderr, "release: password of the key: ")
	secret, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(c.stderr)
	return string(secret), err
}
