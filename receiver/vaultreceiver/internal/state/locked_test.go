// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLockedUsersByPath(t *testing.T) {
	methods := Mounts{
		"1": {Path: "auth/userpass/", Type: "userpass", Accessor: "userpass_1"},
		"2": {Path: "auth/ldap/", Type: "ldap", Accessor: "ldap_2"},
		"3": {Path: "auth/token/", Type: "token", Accessor: "token_3"},
	}
	users := LockedUsers{"userpass_1": 2, "gone_4": 1}
	assert.Equal(t, map[string]int64{"auth/userpass/": 2, "auth/ldap/": 0, "gone_4": 1}, users.ByPath(methods))
	assert.Equal(t, map[string]int64{"userpass_1": 2, "gone_4": 1}, users.ByPath(nil))
	assert.Empty(t, LockedUsers{}.ByPath(nil))
}
