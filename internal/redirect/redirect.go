// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package redirect keeps an HTTP client at the server that it is configured for.
//
// A client of the collector sends its configured headers and its authentication with each request, whichever host the
// request goes to: its transport adds them. A redirect that is followed would give them to another server, together
// with the token of the receiver. No observed server redirects a request that it can answer itself, so no redirect is
// followed, not even within the same server, where it leads to something else than was asked for.
package redirect

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxOrigin is how many bytes of the address of another server are reported.
const maxOrigin = 256

// Error is the error of a request that was answered with a redirect.
type Error struct {
	key    string
	origin string // of another server; empty: it is the same one, or unknown
}

// Elsewhere reports whether the redirect leads to another server.
func (e *Error) Elsewhere() bool { return e.origin != "" }

// Error names the setting to change. It holds no path, as a path can name an object.
func (e *Error) Error() string {
	if e.origin == "" {
		return fmt.Sprintf("redirected within the server, which is not followed: set %s to the URL of the API itself", e.key)
	}
	return fmt.Sprintf("redirected to %s, which is not followed: set %s to it if that is the server to observe", e.origin, e.key)
}

// Refuse makes a request of the client fail with an Error when the answer is a redirect. The key is that of the
// server's address in the configuration.
func Refuse(client *http.Client, key string) {
	next := client.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	client.Transport = &transport{next: next, key: key}
}

// transport does what CheckRedirect of the client could do, but keeps the address of the redirect out of the errors
// of the client.
type transport struct {
	next http.RoundTripper
	key  string
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil || response.StatusCode < http.StatusMultipleChoices || response.StatusCode >= http.StatusBadRequest {
		return response, err
	}
	_ = response.Body.Close() // It is not read.
	refused := &Error{key: t.key}
	if location, err := request.URL.Parse(response.Header.Get("Location")); err == nil {
		if to := origin(location); to != origin(request.URL) {
			refused.origin = bounded(to)
		}
	}
	return nil, refused
}

// CloseIdleConnections lets the method of the client reach the transport below.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// origin returns the scheme, the host and the port of a URL, without what it may hold beside them.
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return (&url.URL{Scheme: scheme, Host: host}).String()
}

func bounded(text string) string {
	if len(text) <= maxOrigin {
		return text
	}
	return strings.ToValidUTF8(text[:maxOrigin], "") + "…"
}
