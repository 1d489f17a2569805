// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNameLease(t *testing.T) {
	mounts := []string{"team/", "team/db/", "auth/team/ldap/", "auth/token/"}
	for id, want := range map[string]LeaseName{
		"database/creds/app/1":         {"database/", "database/creds/app", "app"},
		"pki/issue/web/a/b/1":          {"pki/", "pki/issue/web/a/b", "b"},
		"team/db/creds/app/1":          {"team/db/", "team/db/creds/app", "app"},
		"auth/team/ldap/login/ann/h1":  {"auth/team/ldap/", "auth/team/ldap/login/ann", "ann"},
		"auth/userpass/login/ann/h1":   {"auth/userpass/", "auth/userpass/login/ann", "ann"},
		"auth/approle/login/h1":        {"auth/approle/", "auth/approle/login", ""},
		"auth/token/create/h1":         {"auth/token/", "auth/token/create", ""},
		"auth/token/create/role/h1":    {"auth/token/", "auth/token/create/role", "role"},
		"teamwork/creds/app/1":         {"teamwork/", "teamwork/creds/app", "app"},
		"odd":                          {"odd/", "", ""},
		"":                             {"/", "", ""},
		"auth/":                        {"auth//", "auth", ""},
		"auth":                         {"auth/", "", ""},
		"ssh/creds/otp/with space/1 2": {"ssh/", "ssh/creds/otp/with space", "with space"},
	} {
		assert.Equal(t, want, NameLease(id, mounts), id)
	}
}

func TestIrrevocable(t *testing.T) {
	var i Irrevocable
	step := func(ids []string) []string { news, _ := i.Step(ids); return news }
	assert.Empty(t, step([]string{"a"}), "the baseline")
	assert.Equal(t, []string{"b", "c"}, step([]string{"a", "c", "b", "c"}))
	assert.Empty(t, step([]string{"b", "a"}))
	assert.Equal(t, []string{"c"}, step([]string{"c"}), "it was gone in between")
	saved := i.Save()
	i = Irrevocable{}
	i.Restore(saved)
	assert.Equal(t, []string{"d"}, step([]string{"c", "d"}))
	i.Restore(SavedIrrevocable{})
	assert.Empty(t, step([]string{"e"}))

	many := make([]string, maxIrrevocable)
	for n := range many {
		many[n] = fmt.Sprintf("%05d", n)
	}
	assert.Len(t, step(many), maxIrrevocable)
	assert.Empty(t, step(append(many[1:], "e")), "as many as Vault names, so the first may still be there")
	assert.Empty(t, step(many))
	for n := range many {
		many[n] = fmt.Sprintf("x%05d", n)
	}
	step(many)
	assert.LessOrEqual(t, len(i.known), 2*maxIrrevocable)
}

func TestWhetherThereAreOtherIrrevocableLeasesToSave(t *testing.T) {
	var i Irrevocable
	many := make([]string, maxIrrevocable)
	for n := range many {
		many[n] = fmt.Sprintf("%05d", n)
	}
	for _, next := range []struct {
		ids  []string
		want bool
	}{
		{nil, true}, {nil, false}, {[]string{"a"}, true}, {[]string{"a"}, false}, {[]string{"b"}, true}, {nil, true},
		{many, true}, {many, false}, {append(many[1:], "c"), true}, {many, false},
	} {
		_, changed := i.Step(next.ids)
		assert.Equal(t, next.want, changed, len(next.ids))
	}
}
