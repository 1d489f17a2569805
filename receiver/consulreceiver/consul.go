// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// The names under which parts of the receiver report their condition.
const (
	endpointChecks = "health/state/any"
	endpointUsage  = "operator/usage"
	watchChecks    = "watch of health/state/any"
	limitChecks    = "max_checks"
	viewChecks     = "ACLs of the token"
)

// resource identifies the Consul that is observed. An empty datacenter is not
// known and left out.
func resource(rb *metadata.ResourceBuilder, endpoint, datacenter string) pcommon.Resource {
	rb.SetServiceName("consul")
	rb.SetServiceInstanceID(address.HostPort(endpoint))
	if datacenter != "" {
		rb.SetConsulDatacenter(datacenter)
	}
	return rb.Emit()
}
