// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package address

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHostPort(t *testing.T) {
	for server, want := range map[string]string{
		"http://127.0.0.1:8500":      "127.0.0.1:8500",
		"https://vault.example/path": "vault.example",
		"localhost:2379":             "localhost:2379",
		"[::1]:2379":                 "[::1]:2379",
		"http://not a host":          "http://not a host",
		"":                           "",
	} {
		assert.Equal(t, want, HostPort(server), server)
	}
}
