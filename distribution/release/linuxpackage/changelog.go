// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linuxpackage

import (
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"go.yaml.in/yaml/v3"
)

// writeDebianChangelog writes the changelog that Debian's policy asks for, with one
// entry: that of this version, which leads to the product's own changelog.
func writeDebianChangelog(dir string, info *nfpm.Info, o Options) (path string, err error) {
	path = filepath.Join(dir, "changelog.gz")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zipped, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(zipped, "%s (%s) stable; urgency=medium\n\n  * %s\n\n -- %s  %s\n",
		info.Name, tilde(o.Version), change(info, o), info.Maintainer, o.Time.UTC().Format(time.RFC1123Z))
	return path, errors.Join(err, zipped.Close())
}

// writeRPMChangelog writes the same entry as nfpm reads it.
func writeRPMChangelog(dir string, info *nfpm.Info, o Options) (path string, err error) {
	path = filepath.Join(dir, "changelog.yaml")
	content, err := yaml.Marshal([]map[string]any{{
		"semver": tilde(o.Version) + "-1", "date": o.Time.UTC(), "packager": info.Maintainer, "changes": []map[string]any{{"note": change(info, o)}},
	}})
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o600)
}

func change(info *nfpm.Info, o Options) string { return info.Homepage + "/releases/tag/v" + o.Version }

// tilde is a version as both formats order it: 0.3.0~rc.1 comes before 0.3.0.
func tilde(version string) string { return strings.Replace(version, "-", "~", 1) }
