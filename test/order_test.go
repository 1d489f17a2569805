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
	"go.yaml.in/yaml/v3"

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

// The guide has the filter of Temporal's metrics that the example is run with.
func TestTheGuideHasTheExamplesFilter(t *testing.T) {
	type file struct {
		Processors map[string]any `yaml:"processors"`
	}
	read := func(name string) (f file) {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(content, &f))
		return f
	}
	snippets := snippetsOf(t, "../docs/guides/temporal.md")
	require.Len(t, snippets, 1)
	const filter = "filter/temporal"
	want := read(orderExample + "/collector.yaml").Processors[filter]
	require.NotEmpty(t, want)
	assert.Equal(t, want, read(snippets[0]).Processors[filter])
}
