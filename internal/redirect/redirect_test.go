// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNoRedirectIsFollowed(t *testing.T) {
	var followed atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer other.Close()

	var location string
	var status int
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/asked" {
			followed.Add(1)
			return
		}
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")

	const within = "redirected within the server, which is not followed: set endpoint to the URL of the API itself"
	to := func(origin string) string {
		return "redirected to " + origin + ", which is not followed: set endpoint to it if that is the server to observe"
	}
	for name, tc := range map[string]struct{ location, want string }{
		"another port":              {other.URL + "/planted?planted=1", to(other.URL)},
		"another host":              {"https://other.example/planted", to("https://other.example")},
		"a password":                {"https://user:planted@other.example:8200/", to("https://other.example:8200")},
		"without a scheme":          {"//other.example/planted", to("https://other.example")},
		"the default port":          {"https://other.example:443/", to("https://other.example")},
		"plain text":                {"http://" + host + "/asked", to("http://" + host)},
		"a scheme that is not HTTP": {"ftp://" + host + "/", to("ftp://" + host)},
		"a long name":               {"http://" + strings.Repeat("a", 300) + "/", to("http://" + strings.Repeat("a", 249) + "…")},
		"another path":              {"/planted", within},
		"another path of the host":  {"HTTPS://" + host + "/planted", within},
		"no address":                {"", within},
		"no valid address":          {"http://planted:planted/", within},
	} {
		t.Run(name, func(t *testing.T) {
			location = tc.location
			client := server.Client()
			Refuse(client, "endpoint")
			for _, status = range []int{300, 301, 302, 303, 304, 307, 308} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/asked", strings.NewReader("body"))
				require.NoError(t, err)
				response, err := client.Do(request)
				if response != nil {
					_ = response.Body.Close() // It is closed already.
				}
				var refused *Error
				require.ErrorAs(t, err, &refused)
				require.EqualError(t, refused, tc.want)
				assert.Equal(t, tc.want != within, refused.Elsewhere())
				assert.NotContains(t, err.Error(), "planted")
			}
		})
	}
	assert.Zero(t, followed.Load(), "requests that a redirect led to")
}

func TestOtherAnswersAreAsTheyWere(t *testing.T) {
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://other.example/")
		w.WriteHeader(status)
	}))
	defer server.Close()
	client := &http.Client{}
	Refuse(client, "endpoint")
	for _, status = range []int{200, 201, 204, 400, 404, 473, 503} {
		response, err := client.Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, status, response.StatusCode)
	}
	server.Close()
	response, err := client.Get(server.URL)
	if response != nil {
		_ = response.Body.Close() // There is none.
	}
	require.Error(t, err)
}

// idle counts how often its idle connections are closed.
type idle struct {
	http.RoundTripper
	closed int
}

func (i *idle) CloseIdleConnections() { i.closed++ }

func TestIdleConnectionsAreClosed(t *testing.T) {
	below := &idle{}
	client := &http.Client{Transport: below}
	Refuse(client, "endpoint")
	client.CloseIdleConnections()
	assert.Equal(t, 1, below.closed)
}
