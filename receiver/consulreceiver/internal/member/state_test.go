// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheNodeOfAMember(t *testing.T) {
	for _, tc := range []struct {
		pool                   Pool
		name, datacenter, want string
	}{
		{LAN, "srv-1", "dc1", "srv-1"},
		{LAN, "srv-1.dc1", "dc1", "srv-1.dc1"},
		{WAN, "srv-1.dc1", "dc1", "srv-1"},
		{WAN, "srv-1.example.com.dc1", "dc1", "srv-1.example.com"},
		{WAN, "srv-1.dc1.dc1", "dc1", "srv-1.dc1"},
		{WAN, "srv-1.dc1", "dc2", "srv-1.dc1"},
	} {
		assert.Equal(t, tc.want, nodeName(tc.pool, tc.name, tc.datacenter), "%s %s", tc.pool, tc.name)
	}
}
