// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog"
)

// describe gives an event its severity, and a line for people. It also leaves
// out what is not known, which the generated recorders cannot.
func describe(event plog.LogRecord) (plog.SeverityNumber, string) {
	if ttl, ok := event.Attributes().Get("etcd.lease.ttl"); ok && ttl.Int() == 0 {
		event.Attributes().Remove("etcd.lease.ttl")
	}
	text := func(name string) string {
		v, ok := event.Attributes().Get(name)
		if !ok {
			return ""
		}
		return v.AsString()
	}
	switch event.EventName() {
	case "etcd.lease.granted":
		return plog.SeverityNumberInfo, "lease " + text("etcd.lease.id") + " granted"
	case "etcd.lease.ended":
		return plog.SeverityNumberInfo, fmt.Sprintf("lease %s ended, cause: %s", text("etcd.lease.id"), text("etcd.lease.end.cause"))
	case "etcd.election.elected":
		return plog.SeverityNumberInfo, fmt.Sprintf("election %s won by lease %s", text("etcd.election.name"), text("etcd.lease.id"))
	case "etcd.election.resigned":
		return plog.SeverityNumberInfo, fmt.Sprintf("leadership of %s given up by lease %s", text("etcd.election.name"), text("etcd.lease.id"))
	case "etcd.election.lost":
		return plog.SeverityNumberWarn, fmt.Sprintf("leadership of %s lost, as lease %s expired", text("etcd.election.name"), text("etcd.lease.id"))
	case "etcd.watch.gap":
		return plog.SeverityNumberWarn, fmt.Sprintf("changes under %s are unknown from revision %s to %s (%s)",
			text("etcd.watch.prefix"), text("etcd.revision.first"), text("etcd.revision.last"), text("etcd.gap.reason"))
	}
	step := strings.TrimPrefix(event.EventName(), "etcd.lock.")
	line := fmt.Sprintf("lock %s %s by lease %s", text("etcd.lock.name"), step, text("etcd.lease.id"))
	if text("etcd.lock.end.cause") == "lease_expired" {
		return plog.SeverityNumberWarn, line + ", which expired"
	}
	if step == "abandoned" {
		return plog.SeverityNumberWarn, line
	}
	return plog.SeverityNumberInfo, line
}
