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

// own says whether a receiver like this one has made the request. Anybody can call
// himself as they do, so only requests count that they make: those that change or
// read anything else are told, whoever made them.
func (s *auditStream) own(e audit.Entry) bool {
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
