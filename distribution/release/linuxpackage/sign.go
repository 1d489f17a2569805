// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linuxpackage

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// signer signs with the key in a file as of a given time, or of when the key was
// made if that was later. nfpm itself takes the time of day, so that no two builds
// are equal.
func signer(keyFile string, at time.Time) func(io.Reader) ([]byte, error) {
	return func(data io.Reader) ([]byte, error) {
		key, err := readKey(keyFile)
		if err != nil {
			return nil, fmt.Errorf("RPM key %s: %w", keyFile, err)
		}
		for _, made := range append(subkeys(key), key.PrimaryKey.CreationTime) {
			if made.After(at) {
				at = made
			}
		}
		salted := false // A salt makes each signature another one.
		var signature bytes.Buffer
		err = openpgp.DetachSign(&signature, key, data, &packet.Config{
			DefaultHash: crypto.SHA256, Time: func() time.Time { return at }, NonDeterministicSignaturesViaNotation: &salted,
		})
		return signature.Bytes(), err
	}
}

func readKey(file string) (*openpgp.Entity, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("is not an armored key, make one with gpg --armor --export-secret-keys: %w", err)
	}
	switch {
	case len(keys) != 1:
		return nil, fmt.Errorf("holds %d keys: export just one", len(keys))
	case keys[0].PrivateKey == nil:
		return nil, errors.New("holds no private key: export it with gpg --armor --export-secret-keys")
	case keys[0].PrivateKey.Encrypted:
		return nil, errors.New("is protected by a passphrase: give a copy without one")
	}
	return keys[0], nil
}

func subkeys(key *openpgp.Entity) (made []time.Time) {
	for _, subkey := range key.Subkeys {
		made = append(made, subkey.PublicKey.CreationTime)
	}
	return made
}

// CheckKeys reads the keys as [Build] needs them, so that a wrong one is found before
// anything is built. An empty name is no key.
func CheckKeys(rpm, apk string) error {
	if rpm != "" {
		if _, err := readKey(rpm); err != nil {
			return fmt.Errorf("RPM key %s: %w", rpm, err)
		}
	}
	if apk != "" {
		if err := checkAPKKey(apk); err != nil {
			return fmt.Errorf("APK key %s: %w", apk, err)
		}
	}
	return nil
}

func checkAPKKey(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return errors.New("is not a key in PEM, make one with openssl genrsa")
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		_, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		_, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		err = fmt.Errorf("holds a %s instead of a private key without a passphrase", block.Type)
	}
	return err
}
