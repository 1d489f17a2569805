// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// describe gives an event its severity and a line for people, and leaves out
// what is only said when it is so, or was asked for.
func describe(event plog.LogRecord) (plog.SeverityNumber, string) {
	attrs := event.Attributes()
	text := func(name string) string {
		if value, ok := attrs.Get(name); ok {
			return value.AsString()
		}
		return ""
	}
	if text("observation.initial") == "false" {
		attrs.Remove("observation.initial")
	}
	if text("consul.kv.value.sha256") == "" {
		attrs.Remove("consul.kv.value.size")
	}
	switch event.EventName() {
	case "consul.check.transition":
		return severity(state.Status(text("consul.check.status.new"))), fmt.Sprintf("check %s on %s: %s to %s",
			text("consul.check.id"), text("consul.node.name"), text("consul.check.status.old"), text("consul.check.status.new"))
	case "consul.leader.lost":
		return plog.SeverityNumberError, "the servers have no leader"
	case "consul.member.failed":
		return plog.SeverityNumberError, "member " + text("consul.member.name") + " failed"
	case "consul.watch.gap":
		return plog.SeverityNumberWarn, "changes may have gone unseen in " + text("consul.endpoint")
	case "consul.results.filtered":
		return plog.SeverityNumberWarn, "the token does not show all of " + text("consul.endpoint")
	case "consul.acl.token.expiring":
		return plog.SeverityNumberWarn, "the token of the receiver expires in " + text("consul.time_to_expiry") + " s"
	case "consul.lock.invalidated":
		return plog.SeverityNumberWarn, fmt.Sprintf("session %s ended while it held %s", text("consul.session.id"), text("consul.kv.key"))
	}
	return plog.SeverityNumberInfo, describeInfo(event.EventName(), text)
}

func severity(status state.Status) plog.SeverityNumber {
	switch status {
	case state.Critical:
		return plog.SeverityNumberError
	case state.Warning:
		return plog.SeverityNumberWarn
	default:
		return plog.SeverityNumberInfo
	}
}

func describeInfo(name string, text func(string) string) string {
	switch name {
	case "consul.ca.root.rotated":
		return "root certificate " + text("consul.ca.root.id") + " is active"
	case "consul.config_entry.changed":
		return fmt.Sprintf("%s %s was %s", text("consul.config_entry.kind"), text("consul.config_entry.name"), text("consul.config_entry.change"))
	case "consul.kv.created":
		return "key " + text("consul.kv.key") + " was created"
	case "consul.kv.updated":
		return "key " + text("consul.kv.key") + " was updated"
	case "consul.kv.deleted":
		return "key " + text("consul.kv.key") + " was deleted"
	case "consul.leader.elected":
		return text("consul.leader.address") + " leads the servers"
	case "consul.lock.acquired":
		return fmt.Sprintf("session %s acquired %s", text("consul.session.id"), text("consul.kv.key"))
	case "consul.lock.released":
		return fmt.Sprintf("session %s no longer holds %s: %s", text("consul.session.id"), text("consul.kv.key"), text("consul.lock.end"))
	case "consul.member.joined":
		return "member " + text("consul.member.name") + " joined"
	case "consul.member.left":
		return "member " + text("consul.member.name") + " left"
	case "consul.node.registered":
		return "node " + text("consul.node.name") + " was registered"
	case "consul.node.deregistered":
		return "node " + text("consul.node.name") + " was deregistered"
	case "consul.service.registered":
		return "service " + text("consul.service.name") + " was registered"
	case "consul.service.deregistered":
		return "service " + text("consul.service.name") + " was deregistered"
	case "consul.session.created":
		return "session " + text("consul.session.id") + " was created"
	case "consul.session.ended":
		return "session " + text("consul.session.id") + " ended"
	case "consul.user_event.fired":
		return "user event " + text("consul.user_event.name") + " was fired"
	default:
		return name
	}
}
