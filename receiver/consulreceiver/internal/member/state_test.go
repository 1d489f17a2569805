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

func TestTheVersionOfAMember(t *testing.T) {
	for build, want := range map[string]string{
		"1.19.2:": "1.19.2", "1.19.2:0ace88bc": "1.19.2", "1.18.1+ent:2a7c1d0d": "1.18.1+ent", "1.20.0-rc1:": "1.20.0-rc1", "": "",
	} {
		assert.Equal(t, want, versionOf(build), build)
	}
	assert.Equal(t, Server, roleOf("consul"))
	assert.Equal(t, Client, roleOf("node"))
}

func TestMembersByVersion(t *testing.T) {
	assert.Equal(t, map[string]int64{"1.18.1": 1, "1.19.2": 2}, AliveByVersion(map[string]Member{
		"a": {Status: Alive, Version: "1.19.2"}, "b": {Status: Alive, Version: "1.19.2"}, "c": {Status: Alive, Version: "1.18.1"},
		"d": {Status: Failed, Version: "1.18.1"}, "e": {Status: Left, Version: "1.17.0"},
	}))
}
