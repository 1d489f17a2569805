// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package network

import "github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"

// RecordRoundTrips records the round trips between nodes.
func RecordRoundTrips(m collect.Metrics, r RoundTrips) {
	m.RecordConsulNetworkRoundTripMinDataPoint(m.TS(), r.Min.Seconds())
	m.RecordConsulNetworkRoundTripMedianDataPoint(m.TS(), r.Median.Seconds())
	m.RecordConsulNetworkRoundTripP95DataPoint(m.TS(), r.P95.Seconds())
	m.RecordConsulNetworkRoundTripMaxDataPoint(m.TS(), r.Max.Seconds())
}
