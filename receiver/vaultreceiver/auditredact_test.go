// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIDsInPathsAreNotTold(t *testing.T) {
	id := strings.Repeat("aB3", 8)
	redact := (&AuditConfig{Redact: []string{"customer-[0-9]+"}}).redact()
	for path, want := range map[string]string{
		"kv/app":            "kv/app",
		"kv/customer-7/a":   "kv/*/a",
		"sys/leases/renew":  "sys/leases/renew",
		"sys/leases/renew/": "sys/leases/renew/",
		"sys/leases/renew/database/creds/app/" + id:                "sys/leases/renew/database/creds/app/*",
		"sys/revoke/database/creds/app/" + id + "/":                "sys/revoke/database/creds/app/*",
		"sys/leases/revoke-prefix/database/creds":                  "sys/leases/revoke-prefix/database/creds",
		"auth/token/revoke-accessor/" + id:                         "auth/token/revoke-accessor/*",
		"auth/token/renew/hvs." + id:                               "auth/token/renew/*",
		"auth/token/renew-self":                                    "auth/token/renew-self",
		"auth/token/roles/app":                                     "auth/token/roles/app",
		"kv/hvs." + id + "/a":                                      "kv/hvs.*/a",
		"kv/hvb." + id + "_-x":                                     "kv/hvb.*",
		"kv/s." + id:                                               "kv/s.*",
		"s." + id:                                                  "s.*",
		"pki/issue/www.example.com":                                "pki/issue/www.example.com",
		"auth/ldap/login/ann@services.example-company-of-ours.com": "auth/ldap/login/ann@services.example-company-of-ours.com",
	} {
		assert.Equal(t, want, redact(path), path)
	}
}
