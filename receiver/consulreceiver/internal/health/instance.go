// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

// Instances counts the instances of one service by their health.
type Instances struct{ Passing, Warning, Critical int64 }

// InstancesByHealth counts the instances of each service. The health of an
// instance is the worst of its own checks and of those of its node, as Consul's
// DNS sees it. totals are the numbers of instances by service where known: those
// of a service of which no check is known are passing. They lag behind, so that
// they say nothing of a service whose checks come and go.
func InstancesByHealth(checks Checks, totals map[string]int64) map[string]Instances {
	type instance struct{ node, id, service string }
	nodes := map[string]Status{}
	for id, check := range checks {
		if check.Service == "" && check.Status.Badness() > 0 {
			nodes[id.Node] = worse(nodes[id.Node], check.Status)
		}
	}
	health := map[instance]Status{}
	for id, check := range checks {
		if check.Service != "" {
			i := instance{id.Node, check.ServiceID, check.Service}
			health[i] = worse(worse(health[i], check.Status), nodes[id.Node])
		}
	}
	counts := make(map[string]Instances, len(totals))
	for i, status := range health {
		c := counts[i.service]
		switch status {
		case Critical:
			c.Critical++
		case Warning:
			c.Warning++
		default:
			c.Passing++
		}
		counts[i.service] = c
	}
	for service, total := range totals {
		if _, checked := counts[service]; !checked {
			counts[service] = Instances{Passing: total}
		}
	}
	return counts
}
