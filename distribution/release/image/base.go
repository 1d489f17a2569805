// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/archive"
)

// Paths in the image.
const (
	executable   = "usr/bin/otelcol-infra"
	configs      = "etc/otelcol-infra"
	state        = "var/lib/otelcol-infra"
	certificates = "etc/ssl/certs/ca-certificates.crt"
	timeZones    = "usr/share/zoneinfo.zip"
	documents    = "usr/share/doc/otelcol-infra"
)

// User is the user and the group that the image runs as.
const User = 10001

// base returns what the binary needs of an operating system. It comes from
// modules and from the Go toolchain, not from this machine, so that the bits are
// the same on each.
func base(ctx context.Context, source string) ([]archive.Entry, error) {
	root, err := goroot(ctx, source)
	if err != nil {
		return nil, err
	}
	entries := []archive.Entry{
		{Name: certificates, Mode: 0o644, Text: authorities()},
		{Name: timeZones, Mode: 0o644, Path: filepath.Join(root, "lib", "time", "zoneinfo.zip")},
		{Name: "etc/passwd", Mode: 0o644, Text: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\notelcol-infra:x:%d:%d::/%s:/sbin/nologin\n", User, User, state)},
		{Name: "etc/group", Mode: 0o644, Text: fmt.Appendf(nil, "root:x:0:\notelcol-infra:x:%d:\n", User)},
		{Name: state, Mode: fs.ModeDir | 0o700, Owner: User},
	}
	for _, folder := range []string{
		"etc", "etc/ssl", "etc/ssl/certs", configs, "usr", "usr/bin", "usr/share", "usr/share/doc", documents, "var", "var/lib",
	} {
		entries = append(entries, archive.Entry{Name: folder, Mode: fs.ModeDir | 0o755})
	}
	return entries, nil
}

// authorities returns the certificates that Mozilla trusts without conditions:
// a file of PEM cannot express one.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// Writing into memory cannot fail.
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}

// goroot returns the folder of the Go toolchain that builds the checkout.
func goroot(ctx context.Context, source string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir = source
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the Go toolchain, which has the time zones: %w", err)
	}
	return strings.TrimSpace(string(output)), nil
}
