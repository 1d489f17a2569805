// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"strings"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

// ownPaths are those that receivers ask, by the operation. A star stands for the
// rest of a path.
var ownPaths = map[string][]string{
	"read": {
		endpointHealth, endpointSeal, endpointLeader, endpointNodes, endpointMetrics, endpointPeers, endpointAutopilot,
		endpointLeases, endpointIrrevocable, endpointLookup, endpointTokens, endpointAudit, endpointMounts, endpointAuth,
		endpointMount + "/*", endpointPolicy, endpointQuotas + "/*", endpointLockedUsers, endpointInFlight, endpointClients, endpointEntities,
	},
	"list":   {endpointLease + "/*", endpointAccessors, endpointPolicies, endpointQuotas},
	"update": {endpointLease, endpointToken, endpointRenew},
}

// ownPKIPaths are those that they ask in each PKI secrets engine.
var ownPKIPaths = map[string][]string{
	"read": {"cert/*", "issuer/*", "roles/*"},
	"list": {"certs", "certs/revoked", "issuers", "roles"},
}

// probes says whether an entry is what Vault sends to a device to try it before it is
// enabled. Nobody has made such a request, and it has no response. Whoever enables a
// device at that path has a token, an address and a mount.
func probes(e *audit.Entry) bool {
	return e.Kind == audit.Request && e.Path == endpointAudit+"/test" && e.Mount == (audit.Mount{}) && e.Auth == (audit.Auth{}) && e.RemoteAddress == ""
}

// own says whether a receiver like this one has made the request. Anybody can call
// himself as they do, so only requests count that they make: those that change or
// read anything else are told, whoever made them.
func (s *auditStream) own(e *audit.Entry) bool {
	if !strings.HasPrefix(e.UserAgent, userAgent) {
		return false
	}
	path := strings.TrimSuffix(e.Path, "/") // as Vault lists
	if inMount, ok := strings.CutPrefix(path, e.Mount.Path); ok && e.Mount.Type == "pki" {
		return covers(ownPKIPaths[e.Operation], inMount)
	}
	return covers(ownPaths[e.Operation], path) || e.Operation == "update" && s.login != "" && path == s.login
}

func covers(patterns []string, path string) bool {
	for _, pattern := range patterns {
		if begins, ok := strings.CutSuffix(pattern, "*"); path == pattern || ok && strings.HasPrefix(path, begins) {
			return true
		}
	}
	return false
}
