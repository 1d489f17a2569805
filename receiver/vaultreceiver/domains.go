// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

// newDomains returns the domains that are configured.
func newDomains(w *watcher) (domains []domain) {
	if w.cfg.Mounts.Enabled {
		domains = append(domains, newSecretsEngines(w), newAuthMethods(w))
	}
	if w.cfg.AuditDevices.Enabled {
		domains = append(domains, newAuditDevices(w))
	}
	if w.cfg.Policies.Enabled {
		domains = append(domains, newPolicies(w))
	}
	return domains
}
