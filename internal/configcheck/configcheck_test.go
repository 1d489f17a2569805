// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestURL(t *testing.T) {
	for value, want := range map[string]string{
		"http://127.0.0.1:8500":       "",
		"https://consul.example/path": "",
		"":                            "endpoint is empty: set it to a URL such as http://x:1",
		"127.0.0.1:8500":              "endpoint is not an http or https URL: write it like http://x:1",
		"localhost:8500":              "endpoint is not an http or https URL: write it like http://x:1",
		"ftp://x":                     "endpoint is not an http or https URL: write it like http://x:1",
		"http://":                     "endpoint is not an http or https URL: write it like http://x:1",
		"http://u:secret@x:1":         "endpoint holds a user name or password: remove it, there are settings for these",
	} {
		err := URL("endpoint", value, "http://x:1")
		if want == "" {
			require.NoError(t, err, value)
		} else {
			require.EqualError(t, err, want, value)
		}
	}
}

func TestDuration(t *testing.T) {
	require.NoError(t, Duration("interval", time.Second, "10s"))
	require.EqualError(t, Duration("interval", 30, "10s"), "interval is 30ns: write a duration with a unit, such as 10s")
	require.EqualError(t, Duration("interval", 0, "10s"), "interval is 0s: write a duration with a unit, such as 10s")
	require.NoError(t, Timeout("timeout", 0, "5s"))
	require.EqualError(t, Timeout("timeout", 5, "5s"), "timeout is 5ns: write a duration with a unit, such as 5s")
}

func TestPositive(t *testing.T) {
	require.NoError(t, Positive("max", 1))
	assert.EqualError(t, Positive("max", 0), "max is 0: set it to a number above 0")
}

func TestHostPort(t *testing.T) {
	for _, value := range []string{"", "127.0.0.1:9200", ":9200", "[::1]:9200", "localhost:0"} {
		require.NoError(t, HostPort("endpoint", value, "127.0.0.1:1"), value)
	}
	for _, value := range []string{"127.0.0.1", "127.0.0.1:", "[::1]", "::1:9200", "localhost:99999", "http://127.0.0.1:9200"} {
		require.ErrorContains(t, HostPort("endpoint", value, "127.0.0.1:1"), "which is no address with a port: write it like 127.0.0.1:1", value)
	}
}
