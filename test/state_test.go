// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The second collector in one folder ends at once, with the error that the README
// explains; the first one goes on.
func TestTwoCollectorsInOneStateDirectory(t *testing.T) {
	first := startAlone(t)
	_, err := tryConfigured(t, nil, "STATE_DIRECTORY="+first.state)
	require.ErrorContains(t, err, "ended before it was ready")
	readme, readErr := os.ReadFile("../README.md")
	require.NoError(t, readErr)
	explained := regexp.MustCompile("`(failed to start .* timeout)`").FindSubmatch(readme)
	require.NotNil(t, explained, "the README explains it")
	require.ErrorContains(t, err, string(explained[1]))
	pushEvent(t, first.otlpHTTP, first.events, "number 4711")
}
