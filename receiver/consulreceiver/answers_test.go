// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/acltoken"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/ca"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/catalog"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/configentry"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leaf"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/license"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/network"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/peering"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/server"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/session"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/userevent"
)

// asked is a request that the receiver makes.
type asked struct {
	endpoint string
	read     func(*testing.T, *consulapi.Client, collect.Filters) (any, error)
	full     string   // an answer with data
	empty    []string // answers of a Consul that has nothing; there may be none with status 200
}

// allAsked are all requests. The answers are those of Consul 1.19.2, which
// TestWhatConsulAnswersWhenThereIsNothing asks for them.
var allAsked = []asked{
	{endpointChecks, func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		checks, err := health.Read(t.Context(), c, consulapi.Query{}, filters, 0)
		return checks.Objects, err
	}, `[{"Node":"lab","CheckID":"serfHealth","Name":"Serf Health Status","Status":"passing","Notes":"","Output":"Agent alive and reachable","ServiceID":"","ServiceName":"","ServiceTags":[],"Type":"","Definition":{},"CreateIndex":12,"ModifyIndex":12}]`, []string{`[]`}},
	{endpointServices, func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		services, err := catalog.ReadServices(filters)(t.Context(), c, consulapi.Query{})
		return services.Objects, err
	}, `{"consul":[],"web":["v1"]}`, []string{`{}`}},
	{endpointNodes, func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		nodes, err := catalog.ReadNodes(filters)(t.Context(), c, consulapi.Query{})
		return nodes.Objects, err
	}, `[{"ID":"3b6f1e5c-3c6a-4c5e-9a53-5a9d5ee0b8a1","Node":"lab","Address":"127.0.0.1","Datacenter":"dc1","TaggedAddresses":{},"Meta":{},"CreateIndex":12,"ModifyIndex":13}]`, []string{`[]`}},
	{endpointDatacenters, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		return c.Datacenters(t.Context())
	},
		`["dc1"]`, nil},
	{endpointUsage, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) { return c.Usage(t.Context()) },
		`{"Usage":{"dc1":{"Nodes":1,"Services":1,"ServiceInstances":1,"ConnectServiceInstances":{},"BillableServiceInstances":0}}}`, nil},
	{endpointOverview, func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		totals, instances, err := catalog.ReadOverview(t.Context(), c, filters, "", "")
		assert.EqualValues(t, len(totals), instances, "of Consul itself, if that was counted")
		return totals, err
	}, `{"Nodes":[{"Total":1,"Passing":1,"Warning":0,"Critical":0}],"Services":[{"Name":"consul","Total":1,"Passing":1,"Warning":0,"Critical":0}],"Checks":[]}`,
		[]string{`{"Nodes":null,"Services":null,"Checks":null}`}},
	{endpointLeader, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) { return c.Leader(t.Context()) },
		`"127.0.0.1:8300"`, []string{`""`}},
	{endpointPeers, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) { return c.Peers(t.Context()) },
		`["127.0.0.1:8300"]`, []string{`[]`}},
	{endpointAutopilot, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		return server.Read(t.Context(), c)
	},
		`{"Healthy":true,"FailureTolerance":0,"Servers":{"3b6f1e5c":{"ID":"3b6f1e5c","Name":"lab","Address":"127.0.0.1:8300","NodeStatus":"alive","Version":"1.19.2","LastContact":"0s","LastTerm":2,"LastIndex":20,"Healthy":true,"StableSince":"2026-01-01T00:00:00Z","Status":"leader","Meta":{},"NodeType":"voter"}},"Leader":"3b6f1e5c","Voters":["3b6f1e5c"]}`,
		[]string{`{"Healthy":false,"FailureTolerance":0,"Servers":{},"Leader":"","Voters":[]}`}},
	{endpointMembers, members(member.LAN),
		`[{"Name":"lab","Addr":"127.0.0.1","Port":8301,"Tags":{},"Status":1,"ProtocolMin":1,"ProtocolMax":5,"ProtocolCur":2,"DelegateMin":2,"DelegateMax":5,"DelegateCur":4}]`, nil},
	{endpointMembersWAN, members(member.WAN),
		`[{"Name":"lab.dc1","Addr":"127.0.0.1","Port":8302,"Tags":{},"Status":1,"ProtocolMin":1,"ProtocolMax":5,"ProtocolCur":2,"DelegateMin":2,"DelegateMax":5,"DelegateCur":4}]`, []string{`null`}},
	{endpointCoordinates, func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		trips, _, err := network.Read(t.Context(), c, filters, 100)
		return trips, err
	}, `[{"Node":"lab","Segment":"","Coord":{"Vec":[0,0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":0.00001}}]`, []string{`[]`}},
	{endpointSessions, func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		sessions, err := session.Read(filters, new(sessionlist.Lists))(t.Context(), c, consulapi.Query{})
		return sessions.Objects, err
	}, `[{"ID":"adf4238a-882b-9ddc-4a9d-5b6758e4159e","Name":"holder","Node":"lab","LockDelay":15000000000,"Behavior":"release","TTL":"","NodeChecks":["serfHealth"],"ServiceChecks":null,"CreateIndex":20,"ModifyIndex":20}]`, []string{`[]`}},
	{endpointKV + "locks/", func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		keys, err := kv.Read(t.Context(), c, consulapi.Query{}, "locks/", pattern.Matcher{}, false)
		return keys.Objects, err
	}, `[{"LockIndex":1,"Key":"locks/a","Flags":0,"Value":"dmFsdWU=","Session":"adf4238a-882b-9ddc-4a9d-5b6758e4159e","CreateIndex":20,"ModifyIndex":21}]`, nil},
	{endpointUserEvents, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		events, err := userevent.NewRead()(t.Context(), c, consulapi.Query{})
		return events.Objects, err
	}, `[{"ID":"b54fe110-7af5-cafc-d1fb-afc8ba432b1c","Name":"deploy","Payload":null,"NodeFilter":"","ServiceFilter":"","TagFilter":"","Version":1,"LTime":1}]`, []string{`[]`}},
	{endpointConfig + api.MeshConfig, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		entries, _, err := configentry.ReadKind(t.Context(), c, api.MeshConfig, consulapi.Query{})
		return entries, err
	}, `[{"Kind":"mesh","Name":"mesh","TransparentProxy":{"MeshDestinationsOnly":false},"CreateIndex":20,"ModifyIndex":20}]`, []string{`[]`}},
	{endpointRoots, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		roots, err := ca.Read(t.Context(), c, consulapi.Query{})
		return roots.Objects, err
	}, `{"ActiveRootID":"e6:8c","TrustDomain":"11111111-2222-3333-4444-555555555555.consul","Roots":[{"ID":"e6:8c","Name":"Consul CA Primary Cert","SerialNumber":8,"SigningKeyID":"e6:8c","ExternalTrustDomain":"11111111","NotBefore":"2026-01-01T00:00:00Z","NotAfter":"2036-01-01T00:00:00Z","RootCert":"-----BEGIN CERTIFICATE-----\n","IntermediateCerts":null,"Active":true,"PrivateKeyType":"ec","PrivateKeyBits":256,"CreateIndex":9,"ModifyIndex":9}]}`,
		[]string{`{"ActiveRootID":"","TrustDomain":"11111111-2222-3333-4444-555555555555.consul","Roots":[]}`}},
	{endpointToken, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		return acltoken.Read(t.Context(), c)
	},
		`{"AccessorID":"6a1253d2-1785-24fd-91c2-f8e78c745511","SecretID":"planted","Description":"","Policies":[],"Local":false,"CreateTime":"2026-01-01T00:00:00Z","Hash":"","CreateIndex":20,"ModifyIndex":20}`, nil},
	{endpointLicense, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		return license.Read(t.Context(), c)
	}, `{"Valid":true,"License":{"license_id":"2afbf681-0d1a-0649-cb6c-333ec9f0989c","customer_id":"0259271d-8ffc-e85e-0830-c0822c1f5f2b","installation_id":"*","issue_time":"2026-01-01T00:00:00Z","start_time":"2026-01-01T00:00:00Z","expiration_time":"2027-01-01T00:00:00Z","termination_time":"2037-01-01T00:00:00Z","product":"consul","flags":{"modules":["governance-policy"]},"features":["Automated Backups"]},"Warnings":[]}`, nil},
	{endpointPeerings, func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		peerings, err := peering.NewRead()(t.Context(), c, consulapi.Query{})
		return peerings.Objects, err
	}, `[{"ID":"1d1b80fb-52d5-7ce3-34ae-a5881f502a44","Name":"dc2","State":"ACTIVE","StreamStatus":{"ImportedServices":["billing"],"ExportedServices":null,"LastHeartbeat":null,"LastReceive":"2026-01-01T00:00:00.835966871Z","LastSend":"2026-01-01T00:00:00.615785279Z"},"CreateIndex":18,"ModifyIndex":21,"Remote":{"Partition":"","Datacenter":"dc2"}}]`, []string{`[]`}},
	{endpointLeaf + "web", func(t *testing.T, c *consulapi.Client, _ collect.Filters) (any, error) {
		return leaf.Read(t.Context(), c, "web")
	}, `{"SerialNumber":"09","CertPEM":"-----BEGIN CERTIFICATE-----\n","PrivateKeyPEM":"planted","Service":"web","ServiceURI":"spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web","ValidAfter":"2026-01-01T00:00:00Z","ValidBefore":"2026-01-04T00:00:00Z","CreateIndex":19,"ModifyIndex":19}`, nil},
}

func members(pool member.Pool) func(*testing.T, *consulapi.Client, collect.Filters) (any, error) {
	return func(t *testing.T, c *consulapi.Client, filters collect.Filters) (any, error) {
		members, err := member.NewRead(filters, pool)(t.Context(), c, consulapi.Query{})
		return members.Objects, err
	}
}

// clientOf returns a client of a server, and filters that select everything.
func clientOf(t *testing.T, address string) (*consulapi.Client, collect.Filters) {
	t.Helper()
	cfg := configForKeys(address)
	c, err := consulapi.New(context.Background(), cfg.apiOptions(), componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	filters, err := collect.NewFilters(cfg.Services, cfg.Nodes)
	require.NoError(t, err)
	return c, filters
}

// reply is what a server replies to any request.
type reply struct {
	status  int // 0: 200
	body    string
	missing int // of what is announced
}

// ServeHTTP replies with the headers of a Consul.
func (r reply) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Consul-Index", "20")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)+r.missing))
	w.WriteHeader(cmp.Or(r.status, http.StatusOK))
	_, _ = io.WriteString(w, r.body)
}

// become returns what becomes of a reply to a request. Other parts of the API that it
// asks, to find out whether to believe that, reply as beside says, or the same.
func (a asked) become(t *testing.T, r http.Handler, beside map[string]string) (any, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if other := strings.TrimPrefix(request.URL.Path, "/v1/"); beside[other] != "" && !a.asks(request) {
			reply{body: beside[other]}.ServeHTTP(w, request)
			return
		}
		r.ServeHTTP(w, request)
	}))
	defer server.Close()
	c, p := clientOf(t, server.Listener.Addr().String())
	return a.read(t, c, p)
}

// asks reports whether it makes the request itself.
func (a asked) asks(r *http.Request) bool {
	path, query, _ := strings.Cut(a.endpoint, "?")
	return r.URL.Path == "/v1/"+path && (query == "" || query == r.URL.RawQuery)
}

// besides are answers that have empty ones believed.
var besides = map[string]string{endpointLeader: `""`, endpointMembers: `[{"Name":"lab","Addr":"127.0.0.1","Port":8301,"Status":1}]`}

func TestAnAnswerWithoutItsDataIsAnError(t *testing.T) {
	for _, a := range allAsked {
		t.Run(a.endpoint, func(t *testing.T) {
			_, err := a.become(t, reply{body: a.full}, nil)
			require.NoError(t, err, "a full answer")
			for _, empty := range a.empty {
				_, err := a.become(t, reply{body: empty}, besides)
				require.NoError(t, err, "an empty one")
				_, err = a.become(t, reply{body: empty, missing: 1}, besides)
				require.ErrorContains(t, err, "the answer is incomplete: ", "an empty one that breaks at the end")
			}
			for name, r := range map[string]reply{
				"an empty object":            {body: `{}`},
				"null":                       {body: `null`},
				"an empty list":              {body: `[]`},
				"a list of nothing":          {body: `[{}]`},
				"another object":             {body: `{"status":"ok","items":[]}`},
				"a page":                     {body: "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"},
				"nothing":                    {body: ``},
				"no content":                 {status: http.StatusNoContent},
				"half of it":                 {body: a.full[:len(a.full)/2]},
				"a connection that breaks":   {body: a.full[:len(a.full)/2], missing: len(a.full)},
				"one that breaks at the end": {body: a.full, missing: 1},
				"something after it":         {body: a.full + "{"},
			} {
				if r.missing == 0 && slices.Contains(a.empty, r.body) {
					continue
				}
				t.Run(name, func(t *testing.T) {
					got, err := a.become(t, r, nil)
					require.Error(t, err, "it became %v", got)
					assert.Empty(t, got)
					require.ErrorContains(t, err, a.endpoint+": ")
					assert.Regexp(t, "the answer is not Consul's, check endpoint: |the answer is incomplete: |names no |Unexpected response code: 204", err.Error())
				})
			}
		})
	}
}

// Every part of the API that the receiver names is read in the table.
func TestAllRequestsAreInTheTable(t *testing.T) {
	files, err := filepath.Glob("internal/*/*.go")
	require.NoError(t, err)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			value, ok := node.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(value.Names[0].Name, "Endpoint") {
				return true
			}
			for _, endpoint := range literals(t, value.Values[0]) {
				assert.True(t, slices.ContainsFunc(allAsked, func(a asked) bool { return strings.HasPrefix(a.endpoint, endpoint) }), endpoint)
				found++
			}
			return true
		})
	}
	assert.Len(t, allAsked, found)
}

// literals returns the string literals of an expression.
func literals(t *testing.T, expression ast.Expr) (found []string) {
	t.Helper()
	ast.Inspect(expression, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			found = append(found, text)
		}
		return true
	})
	return found
}

// unindexed are the parts of the API that Consul gives no index to.
var unindexed = []string{
	endpointDatacenters, endpointUsage, endpointOverview, endpointLeader, endpointPeers, endpointAutopilot,
	endpointMembers, endpointMembersWAN, endpointToken, endpointLicense, endpointLeaf + "web",
}

// What has an index is Consul's. `{}` and `[]` are said by many.
func TestAnAnswerWithoutAnIndexIsAnError(t *testing.T) {
	for _, a := range allAsked {
		if slices.Contains(unindexed, a.endpoint) {
			continue
		}
		for _, text := range append(a.empty, a.full) {
			got, err := a.become(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }), nil)
			require.EqualError(t, err, a.endpoint+": the answer is not Consul's, check endpoint: it has no index")
			assert.Empty(t, got)
		}
	}
}

// To Consul, no keys are "not found", and it says so with an index and without a word.
func TestKeysThatAreNotFound(t *testing.T) {
	keys, err := askedFor(endpointKV+"locks/").become(t, reply{status: http.StatusNotFound}, nil)
	require.NoError(t, err)
	assert.Empty(t, keys)
	_, err = askedFor(endpointKV+"locks/").become(t, http.NotFoundHandler(), nil)
	require.EqualError(t, err, "kv/locks/: the answer is not Consul's, check endpoint: it has no index")
}

func askedFor(endpoint string) asked {
	return allAsked[slices.IndexFunc(allAsked, func(a asked) bool { return a.endpoint == endpoint })]
}

// What has no index, and may be empty, is believed only together with another answer.
func TestAnEmptyAnswerToEverything(t *testing.T) {
	_, err := askedFor(endpointMembersWAN).become(t, reply{body: `null`}, nil)
	require.EqualError(t, err, "agent/members: the answer is not Consul's, check endpoint: it has no data")
	_, err = askedFor(endpointPeers).become(t, reply{body: `[]`}, nil)
	require.ErrorContains(t, err, "status/leader: the answer is not Consul's, check endpoint: ")
	_, err = askedFor(endpointPeers).become(t, reply{body: `[]`}, map[string]string{endpointLeader: `"127.0.0.1:8300"`})
	require.EqualError(t, err, "status/peers: the answer is not Consul's, check endpoint: it names no server, but there is a leader")
}

// The agent is in its own pools, so an empty one is one that is hidden.
func TestAPoolWithoutMembers(t *testing.T) {
	for pool, endpoint := range member.Endpoints {
		filtered := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if filtered {
				w.Header().Set("X-Consul-Results-Filtered-By-ACLs", "true")
			}
			reply{body: `[]`}.ServeHTTP(w, r)
		}))
		c, p := clientOf(t, server.Listener.Addr().String())
		_, err := member.NewRead(p, pool)(t.Context(), c, consulapi.Query{})
		require.EqualError(t, err, endpoint+": the answer names no member, not even the agent: see Permissions in the receiver's README, and check endpoint")
		filtered = true
		members, err := member.NewRead(p, pool)(t.Context(), c, consulapi.Query{})
		require.NoError(t, err)
		assert.True(t, members.Filtered)
		assert.Empty(t, members.Objects)
		server.Close()
	}
}

// FuzzAnswer has arbitrary answers never become a world with nothing in it.
func FuzzAnswer(f *testing.F) {
	required := map[string][]string{
		endpointUsage: {"usage"}, endpointOverview: {"nodes", "services"}, endpointAutopilot: {"healthy", "servers"},
		endpointRoots: {"roots"}, endpointToken: {"accessorid"},
	}
	for i, a := range allAsked {
		f.Add(uint8(i), []byte(a.full))
		for _, text := range append(a.empty, `null`, `{}`, `[]`, `[{}]`, `[null]`, a.full[1:]) {
			f.Add(uint8(i), []byte(text))
		}
	}
	var a asked
	var text []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Consul-Index", "20")
		if other := strings.TrimPrefix(r.URL.Path, "/v1/"); besides[other] != "" && !a.asks(r) {
			_, _ = io.WriteString(w, besides[other])
		} else {
			_, _ = w.Write(text)
		}
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, which uint8, answer []byte) {
		a, text = allAsked[int(which)%len(allAsked)], answer
		c, p := clientOf(t, server.Listener.Addr().String())
		got, err := a.read(t, c, p)
		if err != nil {
			require.Empty(t, got)
			return
		}
		var decoded, full any
		require.NoError(t, json.Unmarshal(text, &decoded))
		require.NoError(t, json.Unmarshal([]byte(a.full), &full))
		if decoded == nil {
			require.Contains(t, a.empty, "null")
			return
		}
		require.IsType(t, full, decoded)
		object, _ := decoded.(map[string]any)
		for _, name := range required[a.endpoint] {
			require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(object)), func(key string) bool { return strings.EqualFold(key, name) }), name)
		}
	})
}
