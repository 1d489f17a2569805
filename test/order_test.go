// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/order"
)

const orderExample = "../examples/order"

// The example does what make order-check does: seven systems, seven faults, and each
// claim read from Jaeger and Prometheus.
func TestOrderExample(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers and the built collector; run make test")
	}
	var out bytes.Buffer
	err := order.Run(t.Context(), order.Options{
		Binary: binary(t), Config: config, Policy: policy, Example: orderExample, Progress: os.Stderr,
	}, &out, nil)
	t.Log(out.String())
	require.NoError(t, err)
	assert.Contains(t, out.String(), "everything has arrived")
	assert.NotContains(t, out.String(), "MISSING")
}

// The README shows the spans of an order as the example checks them.
func TestOrderReadmeHasTheTree(t *testing.T) {
	readme, err := os.ReadFile(orderExample + "/README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```text\n"+strings.TrimSpace(order.Tree)+"\n```")
}
