// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linuxpackage_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func rsaKey(t *testing.T) (path string, public *rsa.PublicKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "key.pem")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	return path, &key.PublicKey
}

// members gives the gzip streams that an apk is, as they are in the file.
func members(t *testing.T, path string) (streams [][]byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for rest := bytes.NewReader(content); rest.Len() > 0; {
		start := len(content) - rest.Len()
		buffered := bufio.NewReaderSize(rest, 16) // gzip reads no further than its stream from such a reader,
		zipped, err := gzip.NewReader(buffered)
		require.NoError(t, err)
		zipped.Multistream(false)
		_, err = io.Copy(io.Discard, zipped)
		require.NoError(t, err)
		end := len(content) - rest.Len() - buffered.Buffered() // and what that has read ahead counts as unread.
		streams = append(streams, content[start:end])
		_, err = rest.Seek(int64(end), io.SeekStart)
		require.NoError(t, err)
	}
	return streams
}

// entries reads a stream; all but the last are tar files without an end.
func entries(t *testing.T, stream []byte) (names []string, contents map[string]string) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(stream))
	require.NoError(t, err)
	contents = map[string]string{}
	for files := tar.NewReader(zipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		require.NoError(t, err)
		content, err := io.ReadAll(files)
		require.NoError(t, err)
		names = append(names, header.Name)
		contents[header.Name] = string(content)
		if sum := header.PAXRecords["APK-TOOLS.checksum.SHA1"]; sum != "" {
			want := sha1.Sum(content)
			assert.Equal(t, hex.EncodeToString(want[:]), sum, header.Name)
		} else if header.Typeflag == tar.TypeReg {
			assert.Contains(t, []byte(".SP"), header.Name[1], "%s has a checksum", header.Name) // .SIGN and .PKGINFO have none
		}
	}
}

// An apk is a signature, a description with scripts, and the files: the first is of
// the second, which holds the digest of the third. No apk is here to install it.
func TestAPK(t *testing.T) {
	o := options(t, "arm64")
	var public *rsa.PublicKey
	o.APKKey, public = rsaKey(t)
	_, _, path := build(t, o)
	streams := members(t, path)
	require.Len(t, streams, 3)

	names, contents := entries(t, streams[0])
	require.Equal(t, []string{".SIGN.RSA.otelcol-infra.rsa.pub"}, names)
	digest := sha1.Sum(streams[1])
	require.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA1, digest[:], []byte(contents[names[0]])))

	names, contents = entries(t, streams[1])
	assert.Equal(t, []string{".PKGINFO", ".post-install", ".post-upgrade", ".pre-deinstall", ".pre-install"}, names)
	files := sha256.Sum256(streams[2])
	for _, line := range []string{"pkgname = otelcol-infra", "pkgver = 0.2.0", "arch = aarch64", "license = Apache-2.0", "datahash = " + hex.EncodeToString(files[:])} {
		assert.Contains(t, contents[".PKGINFO"], line+"\n")
	}

	names, _ = entries(t, streams[2])
	for _, name := range append(configurations(t), "/usr/bin/otelcol-infra", "/usr/libexec/otelcol-infra/launch", "/etc/init.d/otelcol-infra") {
		assert.True(t, slices.Contains(names, name[1:]), name)
	}
	for _, name := range names {
		assert.NotContains(t, name, "systemd")
	}
}
