// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package sign signs files so that minisign verifies them.
package sign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"aead.dev/minisign"
)

// Suffix is that of a signature's file.
const Suffix = ".minisig"

// ReadKey reads a secret key as `minisign -G` makes it. password gives the
// key's password, if the file has one.
func ReadKey(path string, password func() (string, error)) (minisign.PrivateKey, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return minisign.PrivateKey{}, fmt.Errorf("read the key that signs the release: %w; `minisign -G -s key -p key.pub` makes one", err)
	}
	var key minisign.PrivateKey
	if !minisign.IsEncrypted(content) {
		if err := key.UnmarshalText(content); err != nil {
			return minisign.PrivateKey{}, fmt.Errorf("%s holds no secret key of minisign: %w", path, err)
		}
		return key, nil
	}
	secret, err := password()
	if err != nil {
		return minisign.PrivateKey{}, fmt.Errorf("read the password of the key in %s: %w", path, err)
	}
	if key, err = minisign.DecryptKey(secret, content); err != nil {
		return minisign.PrivateKey{}, fmt.Errorf("decrypt the key in %s: the password is wrong: %w", path, err)
	}
	return key, nil
}

// PublicKey is the key that a user passes to `minisign -P`.
func PublicKey(key minisign.PrivateKey) (string, error) {
	public, ok := key.Public().(minisign.PublicKey)
	if !ok {
		return "", errors.New("the secret key has no public key of minisign")
	}
	text, err := public.MarshalText()
	if err != nil {
		return "", fmt.Errorf("write the public key: %w", err)
	}
	_, line, _ := bytes.Cut(text, []byte("\n"))
	return string(bytes.TrimSpace(line)), nil
}

// File signs a file; the signature's path is returned. The comment that the
// signature covers names the file and the given time, so that a second signature
// is the same.
func File(key minisign.PrivateKey, path string, at time.Time) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open what is to be signed: %w", err)
	}
	defer file.Close()
	reader := minisign.NewReader(file)
	if _, err := io.Copy(io.Discard, reader); err != nil {
		return "", fmt.Errorf("read what is to be signed: %w", err)
	}
	trusted := fmt.Sprintf("timestamp:%d\tfile:%s\thashed", at.Unix(), filepath.Base(path))
	signature := reader.SignWithComments(key, trusted, "signature of a release of otelcol-infra")
	if err := os.WriteFile(path+Suffix, signature, 0o644); err != nil {
		return "", fmt.Errorf("write the signature: %w", err)
	}
	return path + Suffix, nil
}
