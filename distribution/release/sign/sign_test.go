// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var at = time.Date(2026, 11, 30, 22, 30, 0, 0, time.UTC)

func noPassword() (string, error) { return "", errors.New("a key without a password needs none") }

// keys makes a pair of keys with the real minisign.
func keys(t *testing.T, password string) (secret, public string) {
	t.Helper()
	if _, err := exec.LookPath("minisign"); err != nil {
		t.Skip("needs minisign on PATH: apt-get install minisign")
	}
	secret, public = filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "key.pub")
	args := []string{"-G", "-s", secret, "-p", public}
	if password == "" {
		args = append(args, "-W")
	}
	cmd := exec.Command("minisign", args...)
	cmd.Stdin = strings.NewReader(password + "\n" + password + "\n")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return secret, public
}

func verify(file, public string) error {
	return exec.Command("minisign", "-V", "-m", file, "-p", public).Run()
}

func TestMinisignVerifiesASignatureAndRefusesWhatWasTamperedWith(t *testing.T) {
	secret, public := keys(t, "")
	key, err := ReadKey(secret, noPassword)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "sums.txt")
	require.NoError(t, os.WriteFile(file, []byte("content\n"), 0o600))
	signature, err := File(key, file, at)
	require.NoError(t, err)
	require.NoError(t, verify(file, public))

	line, err := PublicKey(key)
	require.NoError(t, err)
	require.NoError(t, exec.Command("minisign", "-V", "-m", file, "-P", line).Run())

	_, other := keys(t, "")
	require.Error(t, verify(file, other), "the signature is not of this key")

	original, err := os.ReadFile(signature)
	require.NoError(t, err)
	comment := strings.Replace(string(original), "file:sums.txt", "file:evil.txt", 1)
	require.NotEqual(t, string(original), comment)
	require.NoError(t, os.WriteFile(signature, []byte(comment), 0o600))
	require.Error(t, verify(file, public), "the signature covers the comment")

	require.NoError(t, os.WriteFile(signature, original, 0o600))
	require.NoError(t, verify(file, public))
	require.NoError(t, os.WriteFile(file, []byte("Content\n"), 0o600))
	require.Error(t, verify(file, public), "the signature covers the content")
}

func TestASecondSignatureIsTheSame(t *testing.T) {
	secret, _ := keys(t, "")
	key, err := ReadKey(secret, noPassword)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "sums.txt")
	require.NoError(t, os.WriteFile(file, []byte("content\n"), 0o600))
	var signatures []string
	for range 2 {
		signature, err := File(key, file, at)
		require.NoError(t, err)
		content, err := os.ReadFile(signature)
		require.NoError(t, err)
		signatures = append(signatures, string(content))
	}
	assert.Equal(t, signatures[0], signatures[1])
}

func TestAKeyWithAPasswordIsRead(t *testing.T) {
	if testing.Short() {
		t.Skip("derives a key from a password three times, which is slow on purpose")
	}
	secret, public := keys(t, "correct horse")
	key, err := ReadKey(secret, func() (string, error) { return "correct horse", nil })
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "sums.txt")
	require.NoError(t, os.WriteFile(file, []byte("content\n"), 0o600))
	_, err = File(key, file, at)
	require.NoError(t, err)
	require.NoError(t, verify(file, public))
	_, err = ReadKey(secret, func() (string, error) { return "wrong", nil })
	require.ErrorContains(t, err, "the password is wrong")
	assert.NotContains(t, err.Error(), "correct horse")
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	_, err := ReadKey(filepath.Join(t.TempDir(), "absent.key"), noPassword)
	require.ErrorContains(t, err, "absent.key")
	require.ErrorContains(t, err, "minisign -G")
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("something secret\n"), 0o600))
	_, err = ReadKey(file, noPassword)
	require.ErrorContains(t, err, "holds no secret key of minisign")
	assert.NotContains(t, err.Error(), "something secret")
}
