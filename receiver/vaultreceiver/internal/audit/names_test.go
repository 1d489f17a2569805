// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesAreBounded(t *testing.T) {
	known := names{}
	name := []byte("read")
	kept := known.of(name)
	assert.Equal(t, "read", kept)
	name[0] = 'l'
	assert.Equal(t, "read", kept, "it holds none of the memory")
	assert.Equal(t, "lead", known.of(name))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = known.of(name) }))

	long := strings.Repeat("x", longestName+1)
	assert.Equal(t, long, known.of([]byte(long)))
	assert.NotContains(t, known, long)
	assert.Equal(t, "a\uFFFD", known.of([]byte("a\xff")), "what is not UTF-8 is replaced")
	assert.Equal(t, "a\uFFFD", known.of([]byte("a\xff")))
	for i := range 10 * maxNames {
		want := strconv.Itoa(i)
		require.Equal(t, want, known.of([]byte(want)))
		require.LessOrEqual(t, len(known), maxNames)
	}
}
