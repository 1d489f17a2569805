// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"regexp"
	"strings"
)

// pathsToIDs are paths of requests that may go on with the ID of a lease, with an
// accessor, or with a token by mistake. Vault writes paths as they are.
var pathsToIDs = []string{
	"sys/leases/renew/", "sys/leases/revoke/", "sys/renew/", "sys/revoke/",
	"auth/token/lookup/", "auth/token/renew/", "auth/token/revoke/", "auth/token/revoke-orphan/",
	"auth/token/lookup-accessor/", "auth/token/renew-accessor/", "auth/token/revoke-accessor/",
}

// token is what tokens of Vault and OpenBao look like.
var token = regexp.MustCompile(`(\bhv[sbr]|(?:^|/)[sbr])\.[\w-]{20,}`)

// hideIDs replaces what gives access, or is told as a hash, in the path of a request.
func hideIDs(path string) string {
	for _, begins := range pathsToIDs {
		if rest, ok := strings.CutPrefix(path, begins); ok && rest != "" {
			path = path[:strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/')+1] + "*"
			break
		}
	}
	if strings.IndexByte(path, '.') < 0 {
		return path // as most
	}
	return token.ReplaceAllString(path, "$1.*")
}

// redact returns what replaces the parts of paths that are not to be told.
func (c *AuditConfig) redact() func(path string) string {
	patterns := make([]*regexp.Regexp, 0, len(c.Redact))
	for _, pattern := range c.Redact {
		patterns = append(patterns, regexp.MustCompile(pattern)) // It was checked.
	}
	return func(path string) string {
		path = hideIDs(path)
		for _, pattern := range patterns {
			path = pattern.ReplaceAllLiteralString(path, "*")
		}
		return path
	}
}
