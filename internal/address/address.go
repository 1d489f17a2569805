// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package address reads the addresses of servers as their own tools do.
package address

import (
	"net/url"
	"strings"
)

// WithScheme completes an address that is a host and a port: it means http.
func WithScheme(server string) string {
	if server == "" || strings.Contains(server, "://") {
		return server
	}
	return "http://" + server
}

// HostPort returns the host and port of an address, which is what a server is
// known by as service.instance.id.
func HostPort(server string) string {
	u, err := url.Parse(WithScheme(server))
	if err != nil {
		return server
	}
	return u.Host
}
