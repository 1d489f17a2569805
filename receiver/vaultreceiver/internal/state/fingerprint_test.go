// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFingerprintIsOfWhatIsSet(t *testing.T) {
	of := func(text string) string {
		var settings map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &settings))
		return Fingerprint(settings)
	}
	one := of(`{"config":{"ttl":3600,"headers":["a","b"]},"description":"text"}`)
	assert.Len(t, one, 64)
	assert.NotContains(t, one, "text")
	assert.Equal(t, one, of(`{"description":"text","config":{"headers":["a","b"],"ttl":3600}}`), "the order of keys does not count")
	assert.Equal(t, one, of(`{"config":{"ttl":3600,"headers":["a","b"],"new":0,"no":false,"none":null,"list":[],"in":{"":""}},"description":"text","options":{}}`),
		"what is empty does not count")
	for _, another := range []string{
		`{"config":{"ttl":60,"headers":["a","b"]},"description":"text"}`,
		`{"config":{"ttl":3600,"headers":["b","a"]},"description":"text"}`,
		`{"config":{"ttl":3600,"headers":["a","b"],"no":true},"description":"text"}`,
		`{"config":{"ttl":3600,"headers":["a","b"]}}`,
		`{}`,
	} {
		assert.NotEqual(t, one, of(another), another)
	}
	assert.Equal(t, of(`{}`), Fingerprint(nil))
}
