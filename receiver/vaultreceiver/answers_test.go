// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// asked is a request that the receiver makes.
type asked struct {
	endpoint string
	path     string // empty: endpoint
	read     func(context.Context, *client) (any, error)
	full     string   // an answer with data
	empty    []string // answers of a Vault that has nothing; there may be none with status 200
	missing  []string // further answers that lack something
	noList   bool     // It is answered with 404 when there is no such thing, or nothing to list.
}

const (
	answerSerial = "39:dd:2e:90:b7:23:1f:8d:d3:7d:31:c5:1b:da:84:d0:5b:65:31:58"
	noData       = `{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":%,"wrap_info":null,"warnings":null,"auth":null}`
)

// withData returns an answer with data, as Vault wraps it.
func withData(data string) string { return strings.Replace(noData, "%", data, 1) }

func recordedAnswer(file string) string {
	text, err := os.ReadFile(filepath.Join("testdata", "api", file))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// allAsked are all requests. TestWhatVaultAnswersWhenThereIsNothing asks a real Vault
// for the answers.
func allAsked(t testing.TB) []asked {
	quoted := strconv.Quote(newCertificate(t))
	serial, ok := state.ParseSerial(answerSerial)
	require.True(t, ok)
	return []asked{
		{
			endpoint: endpointHealth, read: func(ctx context.Context, c *client) (any, error) { return c.Health(ctx) },
			full:    recordedAnswer("health_200_active.json"),
			missing: []string{`{"initialized":true}`, `{"initialized":true,"sealed":false}`, `{"sealed":false,"standby":false}`},
		},
		{
			endpoint: endpointSeal, read: func(ctx context.Context, c *client) (any, error) {
				var r round
				err := c.sealStatus(ctx, &r)
				return r.Seal, err
			},
			full:    recordedAnswer("seal_status_unsealed.json"),
			missing: []string{`{"type":"shamir","initialized":true}`, `{"type":"shamir","sealed":false}`},
		},
		{
			endpoint: endpointLeader, read: func(ctx context.Context, c *client) (any, error) {
				r, err := c.look(ctx)
				return r.LeaderAddress, cmp.Or(err, r.leaderErr)
			},
			full: recordedAnswer("leader_active.json"), missing: []string{`{"ha_enabled":true,"leader_address":"http://127.0.0.1:8200"}`, `{"is_self":true}`},
		},
		{
			endpoint: endpointNodes, read: func(ctx context.Context, c *client) (any, error) { return c.Nodes(ctx) },
			full: recordedAnswer("ha_status.json"), missing: []string{withData(`{"nodes":null}`), withData(`{"nodes":[]}`), withData(`{"nodes":[{}]}`)},
		},
		{
			endpoint: endpointPeers, read: func(ctx context.Context, c *client) (any, error) { return c.Peers(ctx) },
			full: recordedAnswer("raft_configuration.json"), missing: []string{withData(`{"config":{}}`), withData(`{"config":{"servers":[]}}`), withData(`{"config":{"servers":[{}]}}`)},
		},
		{
			endpoint: endpointAutopilot, read: func(ctx context.Context, c *client) (any, error) { return c.Autopilot(ctx) },
			full: recordedAnswer("raft_autopilot.json"), empty: []string{withData(`{"healthy":false,"failure_tolerance":0,"leader":"","servers":{},"voters":[]}`)},
			missing: []string{withData(`{"healthy":true}`), withData(`{"servers":{}}`), withData(`{"healthy":true,"servers":null}`)},
		},
		{
			endpoint: endpointMetrics, read: func(ctx context.Context, c *client) (any, error) {
				leases, _, err := c.Leases(ctx)
				return leases, err
			},
			full: recordedAnswer("metrics.json"), empty: []string{`{"Timestamp":"2026-11-22 18:37:20 +0000 UTC","Gauges":[],"Points":[],"Counters":[],"Samples":[]}`},
			missing: []string{`{"Gauges":null}`, `{"Gauges":[{}]}`},
		},
		{
			endpoint: endpointLeases, read: func(ctx context.Context, c *client) (any, error) { return c.countIrrevocable(ctx) },
			full: withData(`{"counts":{"auth_token_1":2},"lease_count":2}`), empty: []string{recordedAnswer("leases_count.json")},
		},
		{
			endpoint: endpointIrrevocable, read: func(ctx context.Context, c *client) (any, error) { return c.listIrrevocable(ctx) },
			full:    withData(`{"lease_count":1,"leases":[{"lease_id":"database/creds/a/b","mount_id":"database_1","error":"e"}]}`),
			empty:   []string{withData(`{"lease_count":0,"leases":[]}`)},
			missing: []string{withData(`{"lease_count":1}`), withData(`{"leases":[]}`), withData(`{"lease_count":1,"leases":[{}]}`)},
		},
		{
			endpoint: endpointLease, read: func(ctx context.Context, c *client) (any, error) { return c.Lease(ctx, "database/creds/a/b") },
			full:    withData(`{"expire_time":"2026-11-30T13:00:00Z","id":"database/creds/a/b","issue_time":"2026-11-30T12:00:00Z","last_renewal":null,"renewable":true,"ttl":3599}`),
			empty:   []string{withData(`{"expire_time":null,"id":"database/creds/a/b","issue_time":"2026-11-30T12:00:00Z","last_renewal":null,"renewable":false,"ttl":0}`)},
			missing: []string{withData(`{"issue_time":"2026-11-30T12:00:00Z"}`), withData(`{"ttl":3599}`)},
		},
		{
			endpoint: endpointLease + "/database", read: func(ctx context.Context, c *client) (any, error) {
				return c.list(ctx, call{endpoint: endpointLease + "/database", needs: "sudo and list"})
			},
			full: withData(`{"keys":["creds/"]}`), missing: []string{withData(`{"keys":null}`)}, noList: true,
		},
		{
			endpoint: endpointLookup, read: func(ctx context.Context, c *client) (any, error) { return nil, c.session.look(ctx) },
			full: recordedAnswer("lookup_self_kubernetes.json"), missing: []string{withData(`{"period":3600}`)},
		},
		{
			endpoint: endpointRenew, read: func(ctx context.Context, c *client) (any, error) { return nil, c.session.renew(ctx) },
			full:    `{"request_id":"r","data":null,"auth":{"client_token":"planted","accessor":"a","policies":["default"],"lease_duration":3600,"renewable":true}}`,
			missing: []string{`{"request_id":"r","data":null,"auth":{}}`, `{"auth":{"client_token":"planted"}}`, `{"auth":{"lease_duration":3600}}`},
		},
		{
			endpoint: endpointAccessors, read: func(ctx context.Context, c *client) (any, error) {
				return c.list(ctx, call{endpoint: endpointAccessors, needs: "sudo and list"})
			},
			full: withData(`{"keys":["planted"]}`), missing: []string{withData(`{"keys":null}`)}, noList: true,
		},
		{
			endpoint: endpointToken, read: func(ctx context.Context, c *client) (any, error) {
				facts, _, err := c.Token(ctx, "planted")
				return facts, err
			},
			full:    recordedAnswer("lookup_self_kubernetes.json"),
			empty:   []string{withData(`{"accessor":"a","creation_ttl":0,"display_name":"root","expire_time":null,"path":"auth/token/root","ttl":0}`)},
			missing: []string{withData(`{"path":"auth/token/create"}`), withData(`{"ttl":3590}`)},
		},
		{
			endpoint: endpointTokens, read: func(ctx context.Context, c *client) (any, error) { return c.TokenCount(ctx) },
			full: withData(`{"counters":{"service_tokens":{"total":1}}}`), missing: []string{withData(`{"counters":{}}`), withData(`{"counters":{"service_tokens":{}}}`)},
		},
		{
			endpoint: endpointAudit, read: func(ctx context.Context, c *client) (any, error) { return c.AuditDevices(ctx) },
			full:    withData(`{"file/":{"description":"","local":false,"options":{"file_path":"/tmp/a"},"path":"file/","type":"file"}}`),
			empty:   []string{withData(`{}`)},
			missing: []string{withData(`{"file/":{}}`)},
		},
		{
			endpoint: endpointMounts, read: func(ctx context.Context, c *client) (any, error) { return c.Mounts(ctx, endpointMounts, "") },
			full:    withData(`{"sys/":{"accessor":"system_1","config":{"default_lease_ttl":0},"description":"","options":null,"type":"system","uuid":"u"}}`),
			missing: []string{withData(`{}`), withData(`{"sys/":{}}`), withData(`{"sys/":{"type":"system"}}`)},
		},
		{
			endpoint: endpointAuth, read: func(ctx context.Context, c *client) (any, error) { return c.Mounts(ctx, endpointAuth, "auth/") },
			full:    withData(`{"token/":{"accessor":"auth_token_1","config":{"default_lease_ttl":0},"description":"","options":null,"type":"token","uuid":"u"}}`),
			missing: []string{withData(`{}`), withData(`{"token/":{}}`), withData(`{"token/":{"type":"token"}}`)},
		},
		{
			endpoint: endpointPolicies, read: func(ctx context.Context, c *client) (any, error) {
				return c.list(ctx, call{endpoint: endpointPolicies})
			},
			full: withData(`{"keys":["default","root"]}`), missing: []string{withData(`{"keys":null}`)}, noList: true,
		},
		{
			endpoint: endpointPolicy, path: endpointPolicies + "/root", read: func(ctx context.Context, c *client) (any, error) { return c.Policy(ctx, "root") },
			full: withData(`{"name":"a","policy":"path \"a\" {}"}`), empty: []string{withData(`{"name":"root","policy":""}`)}, missing: []string{withData(`{"name":"root"}`)},
		},
		{
			endpoint: endpointQuotas, read: func(ctx context.Context, c *client) (any, error) { return c.list(ctx, call{endpoint: endpointQuotas}) },
			full: withData(`{"keys":["small"]}`), missing: []string{withData(`{"keys":null}`)}, noList: true,
		},
		{
			endpoint: endpointLockedUsers, read: func(ctx context.Context, c *client) (any, error) { return c.LockedUsers(ctx) },
			full:    withData(`{"by_namespace":[{"namespace_id":"root","namespace_path":"","counts":1,"mount_accessors":[{"mount_accessor":"auth_userpass_1","counts":1,"alias_identifiers":["ann"]}]}],"total":1}`),
			empty:   []string{withData(`{"by_namespace":[],"total":0}`)},
			missing: []string{withData(`{"by_namespace":null}`), withData(`{"by_namespace":[{}]}`), withData(`{"by_namespace":[{"mount_accessors":[{}]}]}`)},
		},
		{
			endpoint: endpointInFlight, read: func(ctx context.Context, c *client) (any, error) { return c.InFlight(ctx) },
			full:    `{"r":{"start_time":"2026-11-23T03:16:41.7Z","client_remote_address":"127.0.0.1:1","request_path":"/v1/kv/a","request_method":"GET","client_id":""}}`,
			empty:   []string{`{"r":{"start_time":"2026-11-23T03:16:41.7Z","request_path":"/v1/sys/in-flight-req"}}`},
			missing: []string{`{"r":{}}`, `{"r":null}`, `{"r":{"start_time":"2026-11-23T03:16:41.7Z"}}`, `{"r":{"request_path":"/v1/kv/a"}}`},
		},
		{
			endpoint: endpointClients, read: func(ctx context.Context, c *client) (any, error) { return c.Clients(ctx) },
			full: withData(`{"acme_clients":0,"clients":1,"distinct_entities":0,"entity_clients":0,"non_entity_clients":1,"secret_syncs":0}`), missing: []string{withData(`{"clients":1}`)},
		},
		{
			endpoint: endpointEntities, read: func(ctx context.Context, c *client) (any, error) { return c.Entities(ctx) },
			full: withData(`{"counters":{"entities":{"total":1}}}`), missing: []string{withData(`{"counters":{}}`), withData(`{"counters":{"entities":{}}}`)},
		},
		{
			endpoint: endpointMount, path: endpointMount + "/pki", read: func(ctx context.Context, c *client) (any, error) { return c.Mount(ctx, "pki") },
			full:    withData(`{"accessor":"pki_1","config":{"default_lease_ttl":0,"max_lease_ttl":2764800},"path":"pki/","type":"pki","uuid":"u"}`),
			missing: []string{withData(`{"type":"pki"}`), withData(`{"path":"pki/","type":"pki"}`)},
		},
		{
			endpoint: "pki/certs", read: func(ctx context.Context, c *client) (any, error) {
				found, err := c.Certificates(ctx, "pki/certs")
				return found.known, err
			},
			full: withData(`{"keys":["` + answerSerial + `"]}`), missing: []string{withData(`{"keys":null}`)}, noList: true,
		},
		{
			endpoint: "pki/cert/+", path: "pki/cert/" + serial.String(), read: func(ctx context.Context, c *client) (any, error) { return c.Certificate(ctx, "pki", serial) },
			full:    withData(`{"certificate":` + quoted + `,"issuer_id":"","revocation_time":0,"revocation_time_rfc3339":""}`),
			missing: []string{withData(`{"revocation_time":0}`), withData(`{"certificate":""}`), withData(`{"certificate":` + quoted + `}`)}, noList: true,
		},
		{
			endpoint: "pki/issuers", read: func(ctx context.Context, c *client) (any, error) { return c.Issuers(ctx, "pki") },
			full:    withData(`{"key_info":{"i":{"is_default":true,"issuer_name":"","key_id":"k","serial_number":"` + answerSerial + `"}},"keys":["i"]}`),
			missing: []string{withData(`{"keys":["i"]}`), withData(`{"key_info":{}}`)}, noList: true,
		},
		{
			endpoint: "pki/issuer/+", path: "pki/issuer/i", read: func(ctx context.Context, c *client) (any, error) {
				found, err := c.Issuer(ctx, "pki", "i")
				return found, err
			},
			full: withData(`{"certificate":` + quoted + `,"issuer_id":"i"}`), missing: []string{withData(`{"issuer_id":"i"}`)},
		},
		{
			endpoint: "pki/issuer/+/crl", path: "pki/issuer/i/crl", read: func(ctx context.Context, c *client) (any, error) { return c.RevocationList(ctx, "pki", "i") },
			missing: []string{withData(`{"crl":""}`)},
		},
		{
			endpoint: "pki/roles", read: func(ctx context.Context, c *client) (any, error) { return c.Roles(ctx, "pki") },
			full: withData(`{"keys":["web"]}`), missing: []string{withData(`{"keys":null}`)}, noList: true,
		},
		{
			endpoint: "pki/roles/+", path: "pki/roles/web", read: func(ctx context.Context, c *client) (any, error) {
				role, err := c.Role(ctx, "pki", "web")
				if role == nil {
					return nil, err
				}
				return *role, err
			},
			full: withData(`{"allow_any_name":true,"key_bits":256,"key_type":"ec","max_ttl":0}`), missing: []string{withData(`{"max_ttl":0}`)}, noList: true,
		},
	}
}

// reply is what a server replies to any request.
type reply struct {
	status  int // 0: 200
	body    string
	missing int // of what is announced
}

func (r reply) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)+r.missing))
	w.WriteHeader(cmp.Or(r.status, http.StatusOK))
	_, _ = io.WriteString(w, r.body)
}

// become returns what becomes of a reply to a request. The server is an active one.
func (a asked) become(t *testing.T, r http.Handler) (any, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		switch path := strings.TrimPrefix(request.URL.Path, "/v1/"); {
		case path == cmp.Or(a.path, a.endpoint):
			r.ServeHTTP(w, request)
		case path == endpointHealth:
			recorded{200, "health_200_active.json"}.ServeHTTP(w, request)
		case path == endpointSeal:
			recorded{200, "seal_status_unsealed.json"}.ServeHTTP(w, request)
		default:
			t.Errorf("%s is asked for %s", path, a.endpoint)
		}
	}))
	defer server.Close()
	cfg := configFor(server.URL)
	cfg.Token = "planted"
	return a.read(t.Context(), clientOf(t, cfg))
}

const wrapped = `{"request_id":"r","wrap_info":{"token":"hvs.x","ttl":60,"creation_time":"2026-01-01T00:00:00Z","creation_path":"sys/policies/acl","accessor":"x"},"data":null}`

func TestAnAnswerWithoutItsDataIsAnError(t *testing.T) {
	for _, a := range allAsked(t) {
		t.Run(a.endpoint, func(t *testing.T) {
			for _, legitimate := range append(a.empty, a.full) {
				if legitimate != "" {
					_, err := a.become(t, reply{body: legitimate})
					require.NoError(t, err, legitimate)
				}
			}
			full := cmp.Or(a.full, withData(`{"crl":"-----BEGIN X509 CRL-----"}`))
			wrong := map[string]reply{
				"an empty object":          {body: `{}`},
				"null":                     {body: `null`},
				"an empty list":            {body: `[]`},
				"another object":           {body: `{"status":"ok","items":[]}`},
				"no data":                  {body: withData(`null`)},
				"data of another kind":     {body: withData(`[]`)},
				"a wrapped answer":         {body: wrapped},
				"a page":                   {body: "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"},
				"nothing":                  {body: ``},
				"half of it":               {body: full[:len(full)/2]},
				"a connection that breaks": {body: full[:len(full)/2], missing: len(full)},
				"something after it":       {body: full + "{"},
			}
			for i, legitimate := range append(a.empty, full) {
				wrong[strconv.Itoa(i)+" that breaks at its end"] = reply{body: legitimate, missing: 1}
			}
			if a.endpoint != endpointClients { // Vault does not count clients then.
				wrong["no content"] = reply{status: http.StatusNoContent}
			}
			if a.endpoint != endpointAudit {
				wrong["empty data"] = reply{body: withData(`{}`)}
			}
			for i, text := range a.missing {
				wrong[strconv.Itoa(i)+" "+text] = reply{body: text}
			}
			for name, r := range wrong {
				t.Run(name, func(t *testing.T) {
					got, err := a.become(t, r)
					require.Error(t, err, "it became %v", got)
					assert.Empty(t, got)
					require.ErrorContains(t, err, a.endpoint+": ")
					assert.Regexp(t, "the answer is not Vault's, check endpoint: |the answer is incomplete: ", err.Error())
				})
			}
		})
	}
}

// To Vault, nothing is "not found", without a word. Others say more, or something else.
func TestWhatIsNotFound(t *testing.T) {
	for _, a := range allAsked(t) {
		t.Run(a.endpoint, func(t *testing.T) {
			got, err := a.become(t, reply{status: http.StatusNotFound, body: `{"errors":[]}`})
			if a.noList {
				require.NoError(t, err)
				assert.Empty(t, got)
			} else if a.endpoint != endpointRenew { // What cannot be renewed is logged in for.
				require.Error(t, err)
			}
			for _, body := range []string{`{}`, `null`, `[]`, ``, `{"errors":null}`, `{"message":"no such route"}`, `<html>not found</html>`} {
				got, err := a.become(t, reply{status: http.StatusNotFound, body: body})
				require.ErrorContains(t, err, a.endpoint+": the answer is not Vault's, check endpoint: status 404", body)
				assert.Empty(t, got)
			}
			if a.noList {
				got, err = a.become(t, reply{status: http.StatusNotFound, body: `{"errors":["no handler for route \"pki/certs\". route entry not found."]}`})
				require.ErrorContains(t, err, "status 404: no handler for route")
				assert.Empty(t, got)
			}
		})
	}
}

// A denial of another server says nothing of the token.
func TestADenialThatIsNotVaults(t *testing.T) {
	for _, a := range allAsked(t) {
		_, err := a.become(t, reply{status: http.StatusForbidden, body: `{"message":"forbidden"}`})
		require.ErrorContains(t, err, a.endpoint+": the answer is not Vault's, check endpoint: status 403")
		require.NotErrorIs(t, err, errDenied)
	}
}

// Every part of the API that the receiver names is asked in the table.
func TestAllRequestsAreInTheTable(t *testing.T) {
	var all []string
	for _, a := range allAsked(t) {
		all = append(all, a.endpoint)
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			if constant, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(constant.Names[0].Name, "endpoint") && len(constant.Values) > 0 {
				endpoint, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
				require.NoError(t, err)
				assert.Contains(t, all, endpoint)
				found++
			}
			return true
		})
	}
	assert.Greater(t, found, 20)
	for _, part := range (&pkiMount{path: "pki/"}).endpoints() {
		if part != "pki/certs/revoked" { // It is listed like pki/certs.
			assert.Contains(t, all, part)
		}
	}
}

// FuzzAnswer has arbitrary answers never become a world with nothing in it.
func FuzzAnswer(f *testing.F) {
	all := allAsked(f)
	for i, a := range all {
		for _, text := range slices.Concat(a.empty, a.missing, []string{a.full, `null`, `{}`, `[]`, withData(`{}`), withData(`null`), wrapped}) {
			f.Add(uint8(i), []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		a := all[int(which)%len(all)]
		cfg := configFor("http://127.0.0.1:1")
		cfg.Token = "planted"
		c := clientOf(t, cfg)
		c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
			case path == cmp.Or(a.path, a.endpoint):
				_, _ = w.Write(text)
			case path == endpointHealth:
				recorded{200, "health_200_active.json"}.ServeHTTP(w, r)
			default:
				recorded{200, "seal_status_unsealed.json"}.ServeHTTP(w, r)
			}
			response := w.Result()
			response.Request = r
			return response, nil
		})
		got, err := a.read(t.Context(), c)
		if err != nil {
			require.Empty(t, got)
			return
		}
		var answer map[string]any
		require.NoError(t, json.Unmarshal(text, &answer))
		require.NotEmpty(t, answer)
		if !strings.Contains(a.full, `"data":{`) {
			return
		}
		data := slices.ContainsFunc(slices.Collect(maps.Keys(answer)), func(name string) bool {
			_, ok := answer[name].(map[string]any)
			return ok && strings.EqualFold(name, "data")
		})
		require.True(t, data, "%s became %v", text, got)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
