// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	certLease  = "pki/issue/web/KaHUhItc"
	loginPath  = "auth/userpass/login/bob"
	loginLease = loginPath + "/h31e019da"
)

// ask is a request that took from one second to another.
func ask(span, path, lease string, from, until int) Issue {
	i := Issue{Trace: "trace of " + span, Span: span, Path: path, From: after(from), Until: after(until)}
	if lease != "" {
		i.Prefix, i.Hash = FolderOf(lease), HashOf(lease)
	}
	return i
}

func TestWhichRequestHasIssuedALease(t *testing.T) {
	for name, tc := range map[string]struct {
		requests []Issue
		lease    string
		issued   int // 0: not known
		want     string
	}{
		"the one that names it": {[]Issue{ask("a", "pki/issue/web", certLease, 10, 12)}, certLease, 11, "a certain"},
		"also when its time is not known, or of another clock": {
			[]Issue{ask("a", "pki/issue/web", certLease, 10, 12), ask("b", "pki/issue/web", certLease+"x", 10, 12)}, certLease, 0, "a certain",
		},
		"not the one that renews it": {[]Issue{
			ask("a", "pki/issue/web", certLease, 10, 12), ask("b", "sys/leases/renew", certLease, 20, 22),
			ask("c", "sys/leases/renew/"+certLease, certLease, 30, 32), ask("d", certLease, certLease, 40, 42),
		}, certLease, 11, "a certain"},
		"not the one that renews it, when no other is known": {[]Issue{ask("b", "sys/leases/renew", certLease, 10, 12)}, certLease, 11, ""},
		"not the one that names another":                     {[]Issue{ask("a", "pki/issue/web", certLease+"x", 10, 12)}, certLease, 11, ""},
		"a login": {[]Issue{
			ask("a", loginPath, "", 10, 12), ask("b", loginPath, "", 13, 15), ask("c", "auth/userpass/login/ann", "", 13, 15),
		}, loginLease, 14, "b likely"},
		"a login when it begins":                            {[]Issue{ask("a", loginPath, "", 10, 12), ask("b", loginPath, "", 13, 15)}, loginLease, 13, "b likely"},
		"a login when it ends":                              {[]Issue{ask("a", loginPath, "", 10, 12), ask("b", loginPath, "", 13, 15)}, loginLease, 12, "a likely"},
		"none of two at the same time":                      {[]Issue{ask("a", loginPath, "", 10, 14), ask("b", loginPath, "", 13, 15)}, loginLease, 13, ""},
		"the one of two that was there at the time":         {[]Issue{ask("a", loginPath, "", 10, 14), ask("b", loginPath, "", 13, 15)}, loginLease, 12, "a likely"},
		"none of another time":                              {[]Issue{ask("a", loginPath, "", 10, 12)}, loginLease, 13, ""},
		"none of an unknown time":                           {[]Issue{ask("a", loginPath, "", 10, 12)}, loginLease, 0, ""},
		"none of a role of the same name":                   {[]Issue{ask("a", "auth/token/create", "", 10, 12)}, "auth/token/create/web/h1", 11, ""},
		"a path with a slash at its end":                    {[]Issue{ask("a", "auth/token/create/", "", 10, 12)}, "auth/token/create/h1", 11, "a likely"},
		"a certificate that is wrapped, and what it is in":  {[]Issue{ask("a", "pki/issue/web", "", 10, 12)}, certLease, 11, "a likely"},
		"the one that names it before the one at that time": {[]Issue{ask("a", "pki/issue/web", certLease, 10, 12), ask("b", "pki/issue/web", "", 10, 12)}, certLease, 11, "a certain"},
		"none when there was none":                          {nil, loginLease, 11, ""},
		"what has no folder":                                {[]Issue{ask("a", "pki/issue/web", "", 10, 12)}, "x", 11, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewOrigins(10)
			for _, i := range tc.requests {
				o.Take(i)
			}
			var issued time.Time
			if tc.issued > 0 {
				issued = after(tc.issued)
			}
			got := ""
			if origin := o.Of(tc.lease, issued); origin != nil {
				assert.Equal(t, "trace of "+origin.Span, origin.Trace)
				got = origin.Span + map[bool]string{true: " likely", false: " certain"}[origin.Likely]
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestTheNewestRequestsAreRemembered(t *testing.T) {
	const limit, all = 100, 1000
	o := NewOrigins(limit)
	lease := func(i int) string { return certLease + strconv.Itoa(i) }
	for i := range all {
		if i%2 == 0 {
			o.Take(ask(strconv.Itoa(i), "pki/issue/web", lease(i), 10*i, 10*i+5))
		} else {
			o.Take(ask(strconv.Itoa(i), loginPath+strconv.Itoa(i%4), "", 10*i, 10*i+5))
		}
	}
	for i := range all {
		id := lease(i)
		if i%2 == 1 {
			id = loginPath + strconv.Itoa(i%4) + "/h"
		}
		origin := o.Of(id, after(10*i+1))
		if i < all-limit {
			require.Nil(t, origin, i)
			continue
		}
		require.NotNil(t, origin, i)
		require.Equal(t, strconv.Itoa(i), origin.Span)
	}
	assert.Len(t, o.named, limit/2)
	assert.Len(t, o.folder, 2)

	same := NewOrigins(limit)
	for range all { // as when a device says it again and again
		same.Take(ask("a", "pki/issue/web", certLease, 10, 12))
	}
	assert.Len(t, same.named, 1)
	for range limit {
		same.Take(ask("b", loginPath, "", 10, 12))
	}
	assert.Empty(t, same.named)
	assert.Nil(t, same.Of(certLease, after(11)))
}

func TestTheRequestOfALeaseSurvivesARestart(t *testing.T) {
	before := NewRoster[LeaseDetail](10, time.Hour, 0)
	before.Begin("pki")
	before.Finish(after(0), "pki", false)
	before.Begin("pki")
	for _, id := range []string{certLease, certLease + "2"} {
		before.See(after(10), "pki", id, false)
	}
	before.Finish(after(11), "pki", false)
	origin := &Origin{Trace: "0af7", Span: "b7ad", Likely: true}
	before.Change(certLease, func(detail *LeaseDetail) bool { detail.Origin = origin; return true })
	stored, err := json.Marshal(before.Save())
	require.NoError(t, err)

	ends := func(stored string) map[string]*Origin {
		var saved SavedRoster[LeaseDetail]
		require.NoError(t, json.Unmarshal([]byte(stored), &saved))
		r := NewRoster[LeaseDetail](10, time.Hour, 0)
		r.Restore(saved, "pki")
		r.Begin("pki")
		found := map[string]*Origin{}
		for _, e := range r.Finish(after(20), "pki", true) {
			if e.Event == LifeEnded {
				found[e.Life.ID] = e.Life.Detail.Origin
			}
		}
		return found
	}
	assert.Equal(t, map[string]*Origin{certLease: origin, certLease + "2": nil}, ends(string(stored)))

	old := fmt.Sprintf(`{"Begun":{"pki":%d},"Lives":[{"ID":%q,"Part":"pki","Detail":{"Irrevocable":true},"Seen":%d}]}`,
		after(0).UnixNano(), certLease, after(10).UnixNano())
	assert.Equal(t, map[string]*Origin{certLease: nil}, ends(old), "stored by an earlier release")
}

func TestOnlyNewOnesOfThePartAreChanged(t *testing.T) {
	r := NewRoster[LeaseDetail](10, time.Hour, 0)
	for part, ids := range map[string][]string{"pki": {"pki/a", "pki/b"}, "auth": {"auth/c"}} {
		r.Begin(part)
		for i, id := range ids {
			r.See(after(10*i), part, id, false)
		}
		r.Finish(after(20), part, false)
	}
	r.Answer(after(20), after(20), "pki/b", Facts{Issued: after(9)}, nil)
	version := r.Version()
	seen := map[string]time.Time{}
	visit := func(since int, changes bool) {
		clear(seen)
		r.ChangeNew(after(since), "pki", func(id string, issued time.Time, _ *LeaseDetail) bool { seen[id] = issued; return changes })
	}
	visit(0, false)
	assert.Equal(t, map[string]time.Time{"pki/a": {}, "pki/b": after(9)}, seen)
	assert.Equal(t, version, r.Version())
	visit(10, true)
	assert.Equal(t, map[string]time.Time{"pki/b": after(9)}, seen)
	assert.NotEqual(t, version, r.Version(), "it is to be saved")
}

// As many logins of one AppRole as are remembered.
func BenchmarkOriginOfALogin(b *testing.B) {
	o := NewOrigins(10_000)
	for i := range 10_000 {
		o.Take(ask("a", "auth/approle/login", "", 10*i, 10*i+5))
	}
	b.ReportAllocs()
	for b.Loop() {
		if o.Of("auth/approle/login/h", after(50_001)) == nil {
			b.Fatal("it is there")
		}
	}
}
