// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

func TestALeakedSecretIsNamedAndNotShown(t *testing.T) {
	secrets := map[string]string{"the token": "hvs.abc"}
	spans := []readback.Span{{Name: "s", Attributes: map[string]any{"header": "Bearer hvs.abc"}}}
	require.EqualError(t, leaked(secrets, map[string][]byte{"trace 1": fmt.Append(nil, spans)}), "the token is in trace 1")
	require.NoError(t, leaked(secrets, map[string][]byte{"trace 1": []byte("hvs.ab")}))
}
