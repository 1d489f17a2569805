// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package server

import "github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"

// RecordPeers records the number of servers.
func RecordPeers(m collect.Metrics, count int) {
	m.RecordConsulRaftPeerCountDataPoint(m.TS(), int64(count))
}

// RecordAutopilot records the health of the servers.
func RecordAutopilot(m collect.Metrics, a Autopilot) {
	m.RecordConsulAutopilotHealthyDataPoint(m.TS(), collect.Number(a.Healthy))
	m.RecordConsulAutopilotFailureToleranceDataPoint(m.TS(), a.FailureTolerance)
	m.RecordConsulRaftVoterCountDataPoint(m.TS(), a.Voters)
	for _, s := range a.Servers {
		m.RecordConsulServerHealthyDataPoint(m.TS(), collect.Number(s.Healthy), s.Name)
		m.RecordConsulServerLeaderDataPoint(m.TS(), collect.Number(s.Leader), s.Name)
		m.RecordConsulServerVoterDataPoint(m.TS(), collect.Number(s.Voter), s.Name)
		m.RecordConsulServerLastContactDataPoint(m.TS(), s.LastContact.Seconds(), s.Name)
		m.RecordConsulServerLogLagDataPoint(m.TS(), a.Lag(s), s.Name)
		if !s.StableSince.IsZero() {
			m.RecordConsulServerStableTimestampDataPoint(m.TS(), collect.UnixSeconds(s.StableSince), s.Name)
		}
	}
}
