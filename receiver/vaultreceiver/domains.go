// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import "github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"

// newDomains returns the domains that are configured.
func newDomains(w *watcher) (domains []domain) {
	var methods *topic[state.Mounts]
	if w.cfg.Mounts.Enabled {
		engines, auth := newMounts(w)
		methods = auth
		domains = append(domains, engines, auth)
	}
	if w.cfg.LockedUsers.Enabled {
		domains = append(domains, newLockedUsers(w, methods))
	}
	if w.cfg.Leases.Mode == ModePrefixes {
		domains = append(domains, newLeases(w))
	}
	if w.cfg.Tokens.Mode != ModeOff {
		domains = append(domains, newTokenCount(w))
	}
	if w.cfg.Tokens.Mode == ModeAccessors {
		domains = append(domains, newTokens(w))
	}
	if w.cfg.AuditDevices.Enabled {
		domains = append(domains, newAuditDevices(w))
	}
	if w.cfg.Policies.Enabled {
		domains = append(domains, newPolicies(w))
	}
	if len(w.cfg.PKI.Mounts) > 0 {
		domains = append(domains, newPKI(w))
	}
	if w.cfg.Quotas.Enabled {
		domains = append(domains, newQuotas(w))
	}
	if w.cfg.InFlightRequests.Enabled {
		domains = append(domains, newInFlightRequests(w))
	}
	if w.cfg.Clients.Enabled {
		domains = append(domains, newClients(w), newEntities(w))
	}
	return domains
}
