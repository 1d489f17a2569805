// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// Metrics records what is known at one time.
type Metrics struct {
	Builder *metadata.MetricsBuilder
	Now     time.Time
}

func (m Metrics) ts() pcommon.Timestamp { return timestamp(m.Now) }

// Up records whether the agent answers.
func (m Metrics) Up(up bool) { m.Builder.RecordConsulUpDataPoint(m.ts(), number(up)) }

// Endpoints records which parts of the API could be used when they last were.
func (m Metrics) Endpoints(up map[string]bool) {
	for endpoint, ok := range up {
		m.Builder.RecordConsulEndpointUpDataPoint(m.ts(), number(ok), endpoint)
	}
}

// Unobserved records how many objects of a kind are beyond their limit.
func (m Metrics) Unobserved(object metadata.AttributeConsulObject, count int) {
	m.Builder.RecordConsulUnobservedCountDataPoint(m.ts(), int64(count), object)
}

// Checks records the number of checks in each status, and each check's state.
func (m Metrics) Checks(checks state.Checks) {
	counts := state.CountByStatus(checks)
	m.Builder.RecordConsulHealthCheckCountDataPoint(m.ts(), counts[state.Passing], metadata.AttributeConsulCheckStatusPassing)
	m.Builder.RecordConsulHealthCheckCountDataPoint(m.ts(), counts[state.Warning], metadata.AttributeConsulCheckStatusWarning)
	m.Builder.RecordConsulHealthCheckCountDataPoint(m.ts(), counts[state.Critical], metadata.AttributeConsulCheckStatusCritical)
}

// CheckStates records the state of each check as a value.
func (m Metrics) CheckStates(checks state.Checks) {
	for id, check := range checks {
		m.Builder.RecordConsulHealthCheckStateDataPoint(m.ts(), int64(check.Status.Badness()), id.Node, id.Check, check.Service)
	}
}

// Instances records the instances of each service by health.
func (m Metrics) Instances(services map[string]state.Instances) {
	for service, i := range services {
		m.Builder.RecordConsulHealthServiceInstanceCountDataPoint(m.ts(), i.Passing, service, metadata.AttributeConsulCheckStatusPassing)
		m.Builder.RecordConsulHealthServiceInstanceCountDataPoint(m.ts(), i.Warning, service, metadata.AttributeConsulCheckStatusWarning)
		m.Builder.RecordConsulHealthServiceInstanceCountDataPoint(m.ts(), i.Critical, service, metadata.AttributeConsulCheckStatusCritical)
	}
}

// Transitions records how often checks have turned.
func (m Metrics) Transitions(counts map[state.Counted]int64) {
	for c, n := range counts {
		if status, ok := metadata.MapAttributeConsulCheckStatus[string(c.Status)]; ok {
			m.Builder.RecordConsulHealthCheckTransitionsDataPoint(m.ts(), n, c.Service, status)
		}
	}
}

// Usage records the sizes of the catalog.
func (m Metrics) Usage(usage state.Usage) {
	m.Builder.RecordConsulCatalogNodeCountDataPoint(m.ts(), usage.Nodes)
	m.Builder.RecordConsulCatalogServiceCountDataPoint(m.ts(), usage.Services)
	m.Builder.RecordConsulCatalogServiceInstanceCountDataPoint(m.ts(), usage.Instances)
	if usage.LastContact >= 0 {
		m.Builder.RecordConsulRaftLastContactDataPoint(m.ts(), usage.LastContact.Seconds())
	}
}

// Leader records whether there is a leader.
func (m Metrics) Leader(has bool) {
	m.Builder.RecordConsulRaftHasLeaderDataPoint(m.ts(), number(has))
}

// LeaderChanges records how often a leader was elected.
func (m Metrics) LeaderChanges(changes int64) {
	m.Builder.RecordConsulRaftLeaderChangesDataPoint(m.ts(), changes)
}

// Peers records the number of servers.
func (m Metrics) Peers(count int) { m.Builder.RecordConsulRaftPeerCountDataPoint(m.ts(), int64(count)) }

// Autopilot records the health of the servers.
func (m Metrics) Autopilot(a state.Autopilot) {
	m.Builder.RecordConsulAutopilotHealthyDataPoint(m.ts(), number(a.Healthy))
	m.Builder.RecordConsulAutopilotFailureToleranceDataPoint(m.ts(), a.FailureTolerance)
	m.Builder.RecordConsulRaftVoterCountDataPoint(m.ts(), a.Voters)
	for _, s := range a.Servers {
		m.Builder.RecordConsulServerHealthyDataPoint(m.ts(), number(s.Healthy), s.Name)
		m.Builder.RecordConsulServerLeaderDataPoint(m.ts(), number(s.Leader), s.Name)
		m.Builder.RecordConsulServerVoterDataPoint(m.ts(), number(s.Voter), s.Name)
		m.Builder.RecordConsulServerLastContactDataPoint(m.ts(), s.LastContact.Seconds(), s.Name)
		m.Builder.RecordConsulServerLogLagDataPoint(m.ts(), a.Lag(s), s.Name)
		m.Builder.RecordConsulServerStableDurationDataPoint(m.ts(), m.Now.Sub(s.StableSince).Seconds(), s.Name)
	}
}

// Members records the number of members of a pool in each status.
func (m Metrics) Members(pool state.Pool, members map[string]state.Member) {
	counts := map[state.MemberStatus]int64{}
	for _, member := range members {
		counts[member.Status]++
	}
	for status, attr := range metadata.MapAttributeConsulMemberStatus {
		m.Builder.RecordConsulMemberCountDataPoint(m.ts(), counts[state.MemberStatus(status)], metadata.MapAttributeConsulMemberPool[string(pool)], attr)
	}
}

// RoundTrips records the round trips between nodes.
func (m Metrics) RoundTrips(r state.RoundTrips) {
	m.Builder.RecordConsulNetworkRoundTripMinDataPoint(m.ts(), r.Min.Seconds())
	m.Builder.RecordConsulNetworkRoundTripMedianDataPoint(m.ts(), r.Median.Seconds())
	m.Builder.RecordConsulNetworkRoundTripP95DataPoint(m.ts(), r.P95.Seconds())
	m.Builder.RecordConsulNetworkRoundTripMaxDataPoint(m.ts(), r.Max.Seconds())
}

// Sessions records the number of sessions.
func (m Metrics) Sessions(count int) {
	m.Builder.RecordConsulSessionCountDataPoint(m.ts(), int64(count))
}

// Keys records the number of keys under a prefix, and how many are held.
func (m Metrics) Keys(prefix string, keys, held int) {
	m.Builder.RecordConsulKvKeyCountDataPoint(m.ts(), int64(keys), prefix)
	m.Builder.RecordConsulKvLockHeldCountDataPoint(m.ts(), int64(held), prefix)
}

// KeyChanges records how often keys under a prefix changed, and were acquired.
func (m Metrics) KeyChanges(prefix string, changes state.KeyChanges, acquisitions int64) {
	m.Builder.RecordConsulKvChangesDataPoint(m.ts(), changes.Created, prefix, metadata.AttributeConsulKvChangeCreated)
	m.Builder.RecordConsulKvChangesDataPoint(m.ts(), changes.Updated, prefix, metadata.AttributeConsulKvChangeUpdated)
	m.Builder.RecordConsulKvChangesDataPoint(m.ts(), changes.Deleted, prefix, metadata.AttributeConsulKvChangeDeleted)
	m.Builder.RecordConsulKvLockAcquisitionsDataPoint(m.ts(), acquisitions, prefix)
}

// Root records when the active root certificate expires.
func (m Metrics) Root(root state.Root) {
	m.Builder.RecordConsulCaRootTimeToExpiryDataPoint(m.ts(), root.NotAfter.Sub(m.Now).Seconds())
}

// Token records when the receiver's own token expires, if it does.
func (m Metrics) Token(token state.Token) {
	if !token.Expires.IsZero() {
		m.Builder.RecordConsulACLTokenTimeToExpiryDataPoint(m.ts(), token.Expires.Sub(m.Now).Seconds())
	}
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
