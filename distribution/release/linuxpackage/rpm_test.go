// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package linuxpackage_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pgpKey makes a key, and files of both halves.
func pgpKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := openpgp.NewEntity("test", "", "test@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 3072})
	require.NoError(t, err)
	dir := t.TempDir()
	private, public = filepath.Join(dir, "private.asc"), filepath.Join(dir, "public.asc")
	for path, half := range map[string]string{private: openpgp.PrivateKeyType, public: openpgp.PublicKeyType} {
		file, err := os.Create(path)
		require.NoError(t, err)
		armored, err := armor.Encode(file, half, nil)
		require.NoError(t, err)
		if path == private {
			require.NoError(t, key.SerializePrivate(armored, nil))
		} else {
			require.NoError(t, key.Serialize(armored))
		}
		require.NoError(t, armored.Close())
		require.NoError(t, file.Close())
	}
	return private, public
}

func TestRPM(t *testing.T) {
	rpm := tool(t, "rpm")
	_, path, _ := build(t, options(t, "arm64"))
	query := func(args ...string) string {
		return run(t, rpm, append(append([]string{"-q"}, args...), "-p", path)...)
	}
	assert.Equal(t, "otelcol-infra 0.2.0 1 aarch64 Apache-2.0 localhost", query("--qf", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE} %{BUILDHOST}"))
	assert.ElementsMatch(t, configurations(t), strings.Fields(query("--configfiles")))
	// 17 is CONFIG and NOREPLACE: an edited file stays, and the new one comes beside it as .rpmnew.
	flags := query("--qf", `[%{FILENAMES} %{FILEFLAGS}\n]`)
	for _, name := range configurations(t) {
		assert.Contains(t, flags, name+" 17\n")
	}
}

// A package that was signed is known to be ours, and no longer when a byte of it changes.
func TestTheSignatureOfAnRPM(t *testing.T) {
	rpmkeys, rpm := tool(t, "rpmkeys"), tool(t, "rpm")
	o := options(t, "amd64")
	var public string
	o.RPMKey, public = pgpKey(t)
	_, path, _ := build(t, o)

	stranger := t.TempDir()
	out, err := tryRun(t, rpm, "--dbpath", stranger, "-K", path)
	require.Error(t, err, "the key is unknown: %s", out)
	known := t.TempDir()
	run(t, rpmkeys, "--dbpath", known, "--import", public)
	assert.Contains(t, run(t, rpm, "--dbpath", known, "-K", path), "digests signatures OK")

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[len(content)-100] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
	out, err = tryRun(t, rpm, "--dbpath", known, "-K", path)
	require.Error(t, err, out)
	assert.Contains(t, out, "NOT OK")
}

func TestRPMLint(t *testing.T) {
	rpmlint := tool(t, "rpmlint")
	o := options(t, "amd64")
	o.RPMKey, _ = pgpKey(t)
	_, path, _ := build(t, o)
	out := run(t, rpmlint, "--strict", "--config", filepath.Join(source, "distribution/linux/rpm/rpmlint.toml"), path)
	assert.Contains(t, out, " 0 errors, 0 warnings", out)
}
