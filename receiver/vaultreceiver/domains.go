// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

// newDomains returns the domains that are configured.
func newDomains(w *watcher) (domains []domain) {
	if w.cfg.Leases.Mode == ModePrefixes {
		domains = append(domains, newLeases(w))
	}
	if w.cfg.Tokens.Mode == ModeAccessors {
		domains = append(domains, newTokens(w))
	}
	if w.cfg.AuditDevices.Enabled {
		domains = append(domains, newAuditDevices(w))
	}
	if len(w.cfg.PKI.Mounts) > 0 {
		domains = append(domains, newPKI(w))
	}
	if w.cfg.Quotas.Enabled {
		domains = append(domains, newQuotas(w))
	}
	return domains
}
