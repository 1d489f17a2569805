// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/envtest"
	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/internal/recordtest"
)

// documented are the environment variables that count when the configuration leaves out what they are for.
var documented = []string{"CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE", "CONSUL_NAMESPACE", "CONSUL_PARTITION"}

// environment returns values of all environment variables that Consul's own client knows, each of which would change
// what it does. Some are what its commands or other clients know.
func environment(t *testing.T) map[string]string {
	t.Helper()
	other := recordtest.NewCertificate(t, "planted")
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(tokenFile, []byte("planted-in-a-file"), 0o600))
	return map[string]string{
		"CONSUL_CACERT":          other.File,
		"CONSUL_CAPATH":          filepath.Dir(other.File),
		"CONSUL_CLIENT_CERT":     other.File,
		"CONSUL_CLIENT_KEY":      other.KeyFile,
		"CONSUL_GRPC_ADDR":       "127.0.0.1:1",
		"CONSUL_GRPC_CACERT":     other.File,
		"CONSUL_GRPC_CAPATH":     filepath.Dir(other.File),
		"CONSUL_HTTP_ADDR":       "http://127.0.0.1:1",
		"CONSUL_HTTP_AUTH":       "planted:planted",
		"CONSUL_HTTP_SSL":        "false",
		"CONSUL_HTTP_SSL_VERIFY": "false",
		"CONSUL_HTTP_TOKEN":      "planted",
		"CONSUL_HTTP_TOKEN_FILE": tokenFile,
		"CONSUL_NAMESPACE":       "planted",
		"CONSUL_PARTITION":       "planted",
		"CONSUL_TLS_SERVER_NAME": "planted.example",
		"CONSUL_DATACENTER":      "planted",
		"CONSUL_STALE":           "false",
	}
}

// answers are those of a small Consul.
var answers = map[string]string{
	"acl/token/self":               `{"AccessorID":"8d8e1b0c-0000-0000-0000-000000000000"}`,
	"agent/members":                `[{"Name":"n1","Addr":"127.0.0.1","Port":8301,"Status":1}]`,
	"catalog/datacenters":          `["dc1"]`,
	"catalog/nodes":                `[{"Node":"n1","Address":"127.0.0.1"}]`,
	"catalog/services":             `{"web":[]}`,
	"config/service-defaults":      `[{"Kind":"service-defaults","Name":"web","ModifyIndex":7}]`,
	"connect/ca/roots":             `{"TrustDomain":"11111111-2222-3333-4444-555555555555.consul","Roots":[]}`,
	"coordinate/nodes":             `[]`,
	"event/list":                   `[]`,
	"health/state/any":             `[{"Node":"n1","CheckID":"c1","Name":"c","Status":"passing","ServiceID":"web","ServiceName":"web"}]`,
	"internal/ui/catalog-overview": `{"Nodes":[{"Total":1}],"Services":[{"Name":"web","Namespace":"default","Partition":"default","Total":1},{"Name":"unchecked","Namespace":"planted","Partition":"default","Total":3},{"Name":"unchecked","Namespace":"default","Partition":"planted","Total":4}]}`,
	"kv/locks/":                    `[{"Key":"locks/a","ModifyIndex":7,"CreateIndex":7}]`,
	"operator/autopilot/state":     `{"Healthy":true,"Voters":["s1"],"Servers":{"s1":{"ID":"s1","Name":"n1","LastContact":"0s","Healthy":true}}}`,
	"operator/license":             `{"License":{"expiration_time":"2030-01-01T00:00:00Z"}}`,
	"operator/usage":               `{"Usage":{"dc1":{"Nodes":1,"Services":1,"ServiceInstances":1}}}`,
	"session/list":                 `[{"ID":"1f","Node":"n1","CreateIndex":7}]`,
	"status/leader":                `"127.0.0.1:8300"`,
	"status/peers":                 `["127.0.0.1:8300"]`,
}

// smallConsul answers as a Consul in which nothing changes.
func smallConsul(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("index") {
		<-r.Context().Done()
		return
	}
	body, known := answers[strings.TrimPrefix(r.URL.Path, "/v1/")]
	if !known {
		body = "[]"
	}
	w.Header().Set("X-Consul-Index", "7")
	_, _ = io.WriteString(w, body)
}

// recordedConsul records the requests that a receiver makes.
type recordedConsul struct {
	recordtest.Recorder
	server *httptest.Server
	ca     string
}

func startRecorded(t *testing.T) *recordedConsul {
	t.Helper()
	r := &recordedConsul{}
	certificate := recordtest.NewCertificate(t, "127.0.0.1")
	r.server, r.ca = recordtest.StartTLS(t, certificate, r.Handler(http.HandlerFunc(smallConsul))), certificate.File
	return r
}

func (r *recordedConsul) config() *Config {
	cfg := defaultConfig()
	cfg.HTTP.Endpoint, cfg.HTTP.TLS.CAFile = r.server.URL, r.ca
	cfg.KV.Prefixes = []string{"locks/"}
	return cfg
}

// certain returns the requests but those that a receiver makes after a pause, or
// only when another request has not named the datacenter before.
func (r *recordedConsul) certain() []string {
	return slices.DeleteFunc(r.Requests(), func(request string) bool {
		return strings.HasPrefix(request, "GET /v1/catalog/datacenters") || strings.HasPrefix(request, "GET /v1/health/state/any?index=")
	})
}

// observed is what a receiver asks for, and what it makes of the answers.
type observed struct {
	requests, series, up []string
}

// observe runs a receiver until it is as is wanted, and returns how it was at its end.
func (r *recordedConsul) observe(t *testing.T, cfg *Config, wanted func(*assert.CollectT, observed)) observed {
	t.Helper()
	r.Reset()
	o := observe(t, cfg)
	var got observed
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got = observed{requests: r.certain(), series: o.Series(), up: o.OwnAttributes(t, "otelcol_consul_endpoint_up", "endpoint", 1)}
		wanted(c, got)
	}, 90*time.Second, 20*time.Millisecond)
	assert.Empty(t, o.Trouble())
	o.Shutdown(t)
	got.requests = r.certain()
	return got
}

// all wants each kind of request, and all that is made of the answers.
func all(t *assert.CollectT, got observed) {
	requests, series := strings.Join(got.requests, "\n"), strings.Join(got.series, "\n")
	for _, endpoint := range watched {
		if endpoint == endpointChecks {
			continue // It is read seldom.
		}
		assert.Regexp(t, `GET /v1/`+endpoint+`\?(dc=\w+&)?index=7`, requests)
	}
	for _, endpoint := range []string{
		endpointChecks, endpointServices, endpointNodes, endpointUsage, endpointOverview, endpointLeader, endpointPeers,
		endpointAutopilot, endpointMembers, endpointMembersWAN, endpointCoordinates, endpointSessions, endpointKV + "locks/",
		endpointUserEvents, endpointConfig, endpointRoots, endpointToken,
	} {
		assert.Contains(t, requests, "GET /v1/"+endpoint)
		assert.Contains(t, got.up, endpoint)
	}
	for _, metric := range []string{
		"consul.health.check.count", "consul.catalog.service.count", "consul.session.count", "consul.kv.key.count", "consul.member.count",
	} {
		assert.Contains(t, series, metric)
	}
}

// without wants the same as was observed without the environment, or all if that is not known yet.
func without(wanted *observed) func(*assert.CollectT, observed) {
	if wanted == nil {
		return all
	}
	return func(t *assert.CollectT, got observed) { assert.Equal(t, *wanted, got) }
}

func TestAllEnvironmentVariablesOfConsulsClientAreKnown(t *testing.T) {
	known := slices.Collect(maps.Keys(environment(t)))
	assert.Subset(t, known, envtest.Variables(t, "CONSUL_", "-find", "github.com/hashicorp/consul/api/..."))
	for _, name := range documented {
		assert.Contains(t, readmetest.Read(t), "\n| `"+name+"` |", "a row of the README's table of environment variables")
		assert.Contains(t, known, name)
	}
}

func TestEnvironmentVariablesThatAreNotDocumentedHaveNoEffect(t *testing.T) {
	variables := environment(t)
	envtest.Clear(t, variables)
	consul := startRecorded(t)
	envtest.RequireNoEffect(t, envtest.Without(variables, documented), func(t *testing.T, wanted *observed) observed {
		return consul.observe(t, consul.config(), without(wanted))
	})
}

func TestTheConfigurationGoesBeforeTheEnvironment(t *testing.T) {
	consul := startRecorded(t)
	envtest.RequireNoEffect(t, environment(t), func(t *testing.T, wanted *observed) observed {
		cfg := consul.config()
		cfg.Token, cfg.Namespace, cfg.Partition = "configured", "team", "east"
		got := consul.observe(t, cfg, without(wanted))
		for _, request := range got.requests {
			assert.Contains(t, request, `X-Consul-Token: ["configured"]`)
		}
		return got
	})
}

func TestDocumentedEnvironmentVariables(t *testing.T) {
	variables := environment(t)
	envtest.Clear(t, variables)
	consul := startRecorded(t)
	const ofADatacenter = `^GET /v1/(health|catalog|kv|session)/`
	for name, tc := range map[string]struct {
		set         []string
		of, wanted  string
		ofUnchecked string // how many instances there are of a service that has no checks
	}{
		"a token":            {[]string{"CONSUL_HTTP_TOKEN"}, "", `X-Consul-Token: \["planted"\]`, ""},
		"a token in a file":  {[]string{"CONSUL_HTTP_TOKEN_FILE"}, "", `X-Consul-Token: \["planted-in-a-file"\]`, ""},
		"a file and a token": {[]string{"CONSUL_HTTP_TOKEN_FILE", "CONSUL_HTTP_TOKEN"}, "", `X-Consul-Token: \["planted-in-a-file"\]`, ""},
		"a namespace":        {[]string{"CONSUL_NAMESPACE"}, ofADatacenter, `[?&]ns=planted[& ]`, "3"},
		"a partition":        {[]string{"CONSUL_PARTITION"}, ofADatacenter, `[?&]partition=planted[& ]`, "4"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range tc.set {
				t.Setenv(variable, variables[variable])
			}
			got := consul.observe(t, consul.config(), all)
			for _, request := range got.requests {
				if regexp.MustCompile(tc.of).MatchString(request) {
					assert.Regexp(t, tc.wanted, request)
				}
			}
			ofUnchecked := ""
			for _, series := range got.series {
				if _, count, found := strings.Cut(series, "map[consul.check.status:passing consul.service.name:unchecked] "); found {
					ofUnchecked = count
				}
			}
			assert.Equal(t, tc.ofUnchecked, ofUnchecked)
		})
	}
	t.Run("a file that is not there", func(t *testing.T) {
		t.Setenv("CONSUL_HTTP_TOKEN_FILE", "/nowhere/token")
		o := observe(t, consul.config())
		o.Eventually(t, "the error", func() bool {
			return strings.Contains(o.Trouble(), "CONSUL_HTTP_TOKEN_FILE cannot be read, check its path and permissions")
		})
	})
}

// No variable makes the receiver trust a server that the configuration does not.
func TestTheEnvironmentTrustsNoServer(t *testing.T) {
	consul := startRecorded(t)
	variables := environment(t)
	variables["CONSUL_CACERT"], variables["CONSUL_CAPATH"] = consul.ca, filepath.Dir(consul.ca)
	for name, value := range variables {
		t.Setenv(name, value)
	}
	cfg := consul.config()
	cfg.HTTP.TLS.CAFile = recordtest.NewCertificate(t, "another authority").File
	o := observe(t, cfg)
	o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
	o.Eventually(t, "the error", func() bool { return strings.Contains(o.Trouble(), "certificate") })
	assert.Empty(t, consul.Requests())
}

func TestAnEndpointWithAPath(t *testing.T) {
	for path, before := range map[string]string{"": "/v1/", "/": "/v1/", "/consul": "/consul/v1/", "/consul/": "/consul/v1/"} {
		t.Run(path, func(t *testing.T) {
			var recorder recordtest.Recorder
			server := httptest.NewServer(recorder.Handler(http.StripPrefix(strings.TrimSuffix(path, "/"), http.HandlerFunc(smallConsul))))
			defer server.Close()
			cfg := defaultConfig()
			cfg.HTTP.Endpoint, cfg.KV.Prefixes = server.URL+path, []string{"locks/"}
			o := observe(t, cfg)
			o.Eventually(t, "the keys", o.HasValue(1, "consul.kv.key.count"))
			o.Eventually(t, "the members", o.HasValue(1, "consul.member.count"))
			o.Shutdown(t)
			for _, request := range recorder.Requests() {
				assert.Contains(t, request, "GET "+before)
			}
		})
	}
}

// The proxy of the environment is used as by every component of the collector.
func TestTheProxyOfTheEnvironment(t *testing.T) {
	if !envtest.IsChild() {
		var proxy recordtest.Recorder
		server := httptest.NewServer(proxy.Handler(http.HandlerFunc(smallConsul)))
		defer server.Close()
		envtest.Rerun(t, "HTTP_PROXY="+server.URL)
		assert.Contains(t, strings.Join(proxy.Requests(), ""), "GET http://0.0.0.0:1/v1/status/peers?")
		proxy.Reset()
		envtest.Rerun(t, "HTTP_PROXY="+server.URL, "NO_PROXY=0.0.0.0", "NOT_PROXIED=1")
		assert.Empty(t, proxy.Requests())
		return
	}
	cfg := defaultConfig()
	cfg.HTTP.Endpoint = "http://0.0.0.0:1" // Go uses no proxy for 127.0.0.1, and a name would take a resolver.
	cfg.HTTP.DisableKeepAlives = true      // The process ends with the test.
	o := observe(t, cfg)
	up := int64(1)
	if os.Getenv("NOT_PROXIED") != "" {
		up = 0
	}
	o.Eventually(t, "whether it is up", o.HasValue(up, "consul.up"))
}
