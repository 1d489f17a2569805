// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package tokenfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")

	token, err := Source{}.Read()
	require.NoError(t, err)
	assert.Empty(t, token)

	token, err = Source{Token: "inline"}.Read()
	require.NoError(t, err)
	assert.Equal(t, "inline", token)

	_, err = Source{File: file}.Read()
	require.ErrorContains(t, err, "token_file cannot be read, check its path and permissions")
	_, err = Source{File: file, FileName: "A_TOKEN_FILE"}.Read()
	require.ErrorContains(t, err, "A_TOKEN_FILE cannot be read, check its path and permissions")

	require.NoError(t, os.WriteFile(file, []byte(" \n"), 0o600))
	_, err = Source{File: file}.Read()
	require.ErrorContains(t, err, "is empty: write the token into it")

	for _, want := range []string{"first", "rotated"} {
		require.NoError(t, os.WriteFile(file, []byte(want+"\n"), 0o600))
		token, err = Source{File: file}.Read()
		require.NoError(t, err)
		assert.Equal(t, want, token)
	}
}

func TestValidateRefusesBoth(t *testing.T) {
	err := Source{Token: "secret", File: "f"}.Validate()
	require.EqualError(t, err, "token and token_file are both set: keep one of them")
}
