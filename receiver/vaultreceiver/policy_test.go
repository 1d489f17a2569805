// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shipped is the policy that is shipped, for all domains.
func shipped(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile("../../distribution/vault-policy.hcl")
	require.NoError(t, err)
	return string(rules)
}

var rule = regexp.MustCompile(`(?m)^path "([^"]+)" \{\n  capabilities = \[([^\]]+)\]\n\}$`)

// rulesOf returns the capabilities of each path.
func rulesOf(t *testing.T, policy string) map[string]string {
	t.Helper()
	rules := map[string]string{}
	for _, match := range rule.FindAllStringSubmatch(policy, -1) {
		before, twice := rules[match[1]]
		require.True(t, !twice || before == match[2], "%s has two rules", match[1])
		rules[match[1]] = match[2]
	}
	require.Len(t, rule.FindAllString(policy, -1), strings.Count(policy, "path \""), "a rule has another form")
	return rules
}

// The tests of each domain show that its policy in the README is enough. The one
// that is shipped has the same rules.
func TestTheShippedPolicyIsThatOfTheReadme(t *testing.T) {
	all := policyOf(t, "Cluster", "Audit devices", "Leases", "PKI", "Quotas", "Mounts", "Policies", "Locked users",
		"Requests in flight", "Clients", "Tokens", "The receiver's own token")
	all = strings.ReplaceAll(all, "<mount>", "pki")
	all = regexp.MustCompile(`sys/leases/lookup/[a-z/]+/\*`).ReplaceAllString(all, "sys/leases/lookup/*")
	want := rulesOf(t, all)
	require.Greater(t, len(want), 20)
	assert.Equal(t, want, rulesOf(t, shipped(t)))
}
