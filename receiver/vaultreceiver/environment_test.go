// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/envtest"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/internal/recordtest"
)

// documented are the environment variables that count when the configuration leaves out what they are for.
var documented = []string{"VAULT_TOKEN"}

// environment returns values of all environment variables that Vault's own client knows, each of which would change
// what it does.
func environment(t *testing.T) map[string]string {
	t.Helper()
	other := recordtest.NewCertificate(t, "planted")
	pem, err := os.ReadFile(other.File)
	require.NoError(t, err)
	return map[string]string{
		"VAULT_ADDR":       "http://127.0.0.1:1",
		"VAULT_AGENT_ADDR": "http://127.0.0.1:1",
		"VAULT_ALLOW_PENDING_REMOVAL_DUPLICATE_HCL_ATTRIBUTES": "true",
		"VAULT_CACERT":                  other.File,
		"VAULT_CACERT_BYTES":            string(pem),
		"VAULT_CAPATH":                  filepath.Dir(other.File),
		"VAULT_CLIENT_CERT":             other.File,
		"VAULT_CLIENT_KEY":              other.KeyFile,
		"VAULT_CLIENT_TIMEOUT":          "1ns",
		"VAULT_CONFIG_PATH":             other.File,
		"VAULT_DISABLE_REDIRECTS":       "false",
		"VAULT_HEADERS":                 `{"X-Planted":"planted"}`,
		"VAULT_HTTP_PROXY":              "http://127.0.0.1:1",
		"VAULT_MAX_RETRIES":             "9",
		"VAULT_MFA":                     "planted",
		"VAULT_NAMESPACE":               "planted",
		"VAULT_PLUGIN_AUTOMTLS_ENABLED": "true",
		"VAULT_PLUGIN_METADATA_MODE":    "true",
		"VAULT_PROXY_ADDR":              "http://127.0.0.1:1",
		"VAULT_RATE_LIMIT":              "0.001:1",
		"VAULT_SKIP_VERIFY":             "true",
		"VAULT_SRV_LOOKUP":              "true",
		"VAULT_TLS_SERVER_NAME":         "planted.example",
		"VAULT_TOKEN":                   "planted",
		"VAULT_UNWRAP_TOKEN":            "planted",
		"VAULT_WRAP_TTL":                "60s",
	}
}

// answers are those of a small Vault. The names of files are those of recorded answers.
var answers = map[string]string{
	endpointHealth:               "health_200_active.json",
	endpointSeal:                 `{"type":"shamir","initialized":true,"sealed":false,"t":1,"n":1,"progress":0,"storage_type":"raft","cluster_id":"` + clusterID + `"}`,
	endpointLeader:               "leader_active.json",
	endpointNodes:                "ha_status.json",
	endpointPeers:                "raft_configuration.json",
	endpointAutopilot:            "raft_autopilot.json",
	endpointLeases:               "leases_count.json",
	endpointLookup:               "lookup_self_kubernetes.json",
	loginAppRole:                 "login_200_kubernetes.json",
	endpointMetrics:              ownPage,
	endpointMounts:               `{"data":{"pki/":{"type":"pki","accessor":"pki_1","uuid":"u1"}}}`,
	endpointAuth:                 `{"data":{"token/":{"type":"token","accessor":"token_1","uuid":"u2"}}}`,
	endpointPolicies:             `{"data":{"keys":["app"]}}`,
	endpointPolicies + "/app":    `{"data":{"name":"app","policy":"# nothing"}}`,
	endpointAudit:                `{"data":{"file/":{"type":"file"}}}`,
	endpointQuotas:               `{"data":{"keys":["small"]}}`,
	endpointQuotas + "/small":    `{"data":{"path":"kv","rate":1,"interval":1}}`,
	endpointLockedUsers:          `{"data":{"by_namespace":[],"total":0}}`,
	endpointInFlight:             `{"r1":{"request_path":"/v1/sys/in-flight-req","start_time":"2026-01-01T00:00:00Z"}}`, // itself
	endpointClients:              `{"data":{"acme_clients":0,"entity_clients":1,"non_entity_clients":2,"secret_syncs":0}}`,
	endpointEntities:             `{"data":{"counters":{"entities":{"total":1}}}}`,
	endpointTokens:               `{"data":{"counters":{"service_tokens":{"total":3}}}}`,
	endpointAccessors:            `{"data":{"keys":["a1"]}}`,
	endpointToken:                `{"data":{"issue_time":"2026-01-01T00:00:00Z","expire_time":null,"ttl":0,"path":"auth/token/create"}}`,
	endpointLease + "/pki/issue": `{"data":{"keys":["l1"]}}`,
	endpointLease:                `{"data":{"id":"pki/issue/l1","issue_time":"2026-01-01T00:00:00Z","expire_time":"2126-01-01T00:00:00Z","ttl":3153600000}}`,
	endpointMount + "/pki":       `{"data":{"type":"pki","path":"pki/","accessor":"pki_1","uuid":"u1","config":{"max_lease_ttl":3600},"options":null}}`,
}

// smallVault answers as a Vault in which nothing changes.
func smallVault(w http.ResponseWriter, r *http.Request) {
	answer, known := answers[strings.TrimPrefix(r.URL.Path, "/v1/")]
	switch {
	case !known:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[]}`)
	case answer == ownPage:
		answerPage(w, r)
	case strings.HasSuffix(answer, ".json"):
		recorded{http.StatusOK, answer}.ServeHTTP(w, r)
	default:
		_, _ = io.WriteString(w, answer)
	}
}

// recordedVault records the requests that a receiver makes.
type recordedVault struct {
	recordtest.Recorder
	server *httptest.Server
	ca     string
}

func startRecorded(t *testing.T) *recordedVault {
	t.Helper()
	r := &recordedVault{}
	certificate := recordtest.NewCertificate(t, "127.0.0.1")
	r.server, r.ca = recordtest.StartTLS(t, certificate, r.Handler(http.HandlerFunc(smallVault))), certificate.File
	return r
}

// config returns one that asks for everything, and has no way to a token yet.
func (r *recordedVault) config() *Config {
	cfg := everything(r.server.URL)
	cfg.HTTP.TLS.CAFile = r.ca
	cfg.Tokens.LookupDelay = time.Millisecond
	return cfg
}

// observed is what a receiver asks for, and what it makes of the answers.
type observed struct {
	requests, series []string
}

// changing are metrics whose values change while nothing else does.
var changing = []string{"vault.own_token.ttl"}

// observe runs a receiver until it is as is wanted, and returns how it was at its end.
func (r *recordedVault) observe(t *testing.T, cfg *Config, wanted func(*assert.CollectT, observed)) observed {
	t.Helper()
	r.Reset()
	o := observe(t, cfg)
	var got observed
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		got = observed{requests: r.Requests(), series: o.Series(changing...)}
		wanted(t, got)
	}, 90*time.Second, 20*time.Millisecond)
	assert.Empty(t, o.Trouble())
	o.Shutdown(t)
	got.requests = r.Requests()
	return got
}

// all wants each kind of request, and all that is made of the answers.
func all(t *assert.CollectT, got observed) {
	requests, series := strings.Join(got.requests, "\n"), strings.Join(got.series, "\n")
	for _, endpoint := range append(slices.Collect(maps.Keys(answers)), "pki/certs", "pki/certs/revoked", "pki/issuers", "pki/roles") {
		if endpoint != loginAppRole {
			assert.Regexp(t, `(GET|PUT) /v1/`+regexp.QuoteMeta(endpoint)+`[? ]`, requests)
		}
	}
	for _, metric := range []string{
		"vault.audit.device.count", "vault.client.count", "vault.entity.count", "vault.ha.node.count", "vault.lease.count",
		"vault.lease.followed.count", "vault.lease.irrevocable.count", "vault.mount.count", "vault.own_token.ttl",
		"vault.pki.certificate.count", "vault.pki.revoked.count", "vault.policy.count", "vault.quota.rate_limit", "vault.quota.refusals",
		"vault.raft.peer.count", "vault.raft.peer.healthy", "vault.request.in_flight.count", "vault.server.raft.applies",
		"vault.token.count", "vault.token.followed.count", "vault.up",
	} {
		assert.Contains(t, series, metric)
	}
	for _, endpoint := range []string{
		endpointLookup, endpointPolicy, endpointToken, endpointLease, endpointLease + "/pki/issue", "pki/certs", "pki/certs/revoked",
		"pki/issuers", "pki/roles", endpointAuth, endpointMounts, endpointLockedUsers, endpointTokens,
	} {
		assert.Regexp(t, `vault\.endpoint\.up.*vault\.endpoint:`+regexp.QuoteMeta(endpoint)+`\] 1`, series)
	}
}

// without wants the same as was observed without the environment, or all if that is not known yet.
func without(wanted *observed) func(*assert.CollectT, observed) {
	if wanted == nil {
		return all
	}
	return func(t *assert.CollectT, got observed) { assert.Equal(t, *wanted, got) }
}

// ofNobody matches requests that need no token.
var ofNobody = regexp.MustCompile(` /v1/sys/(health|seal-status|leader) `)

func TestAllEnvironmentVariablesOfVaultsClientAreKnown(t *testing.T) {
	known := slices.Collect(maps.Keys(environment(t)))
	assert.Subset(t, known, envtest.Variables(t, "VAULT_", "-find", "github.com/hashicorp/vault/api/..."))
	for _, name := range documented {
		assert.Contains(t, readmetest.Read(t), "\n| `"+name+"` |", "a row of the README's table of environment variables")
		assert.Contains(t, known, name)
	}
}

func TestEnvironmentVariablesThatAreNotDocumentedHaveNoEffect(t *testing.T) {
	variables := environment(t)
	envtest.Clear(t, variables)
	vault := startRecorded(t)
	envtest.RequireNoEffect(t, envtest.Without(variables, documented), func(t *testing.T, wanted *observed) observed {
		cfg := vault.config()
		cfg.AppRole = &AppRoleConfig{RoleID: "a-role", SecretID: "a-secret"}
		return vault.observe(t, cfg, without(wanted))
	})
}

func TestTheConfigurationGoesBeforeTheEnvironment(t *testing.T) {
	vault := startRecorded(t)
	envtest.RequireNoEffect(t, environment(t), func(t *testing.T, wanted *observed) observed {
		cfg := vault.config()
		cfg.Token, cfg.Namespace = "configured", "team"
		got := vault.observe(t, cfg, without(wanted))
		for _, request := range got.requests {
			if !ofNobody.MatchString(request) {
				assert.Contains(t, request, `X-Vault-Token: ["configured"]`)
				assert.Contains(t, request, `X-Vault-Namespace: ["team"]`)
			}
		}
		return got
	})
}

func TestDocumentedEnvironmentVariables(t *testing.T) {
	variables := environment(t)
	envtest.Clear(t, variables)
	vault := startRecorded(t)
	t.Setenv("VAULT_TOKEN", variables["VAULT_TOKEN"])
	withToken := 0
	for _, request := range vault.observe(t, vault.config(), all).requests {
		if ofNobody.MatchString(request) {
			assert.NotContains(t, request, "X-Vault-Token")
		} else {
			assert.Contains(t, request, `X-Vault-Token: ["planted"]`)
			withToken++
		}
	}
	assert.NotZero(t, withToken)
}

// No variable makes the receiver trust a server that the configuration does not.
func TestTheEnvironmentTrustsNoServer(t *testing.T) {
	vault := startRecorded(t)
	variables := environment(t)
	variables["VAULT_CACERT"], variables["VAULT_CAPATH"] = vault.ca, filepath.Dir(vault.ca)
	for name, value := range variables {
		t.Setenv(name, value)
	}
	cfg := vault.config()
	cfg.HTTP.TLS.CAFile = recordtest.NewCertificate(t, "another authority").File
	o := observe(t, cfg)
	o.Eventually(t, "up is 0", o.HasValue(0, "vault.up"))
	o.Eventually(t, "the error", func() bool { return strings.Contains(o.Trouble(), "certificate") })
	assert.Empty(t, vault.Requests())
}

// The proxy of the environment is used as by every component of the collector.
func TestTheProxyOfTheEnvironment(t *testing.T) {
	if !envtest.IsChild() {
		var proxy recordtest.Recorder
		server := httptest.NewServer(proxy.Handler(http.HandlerFunc(smallVault)))
		defer server.Close()
		envtest.Rerun(t, "HTTP_PROXY="+server.URL)
		assert.Contains(t, strings.Join(proxy.Requests(), ""), "GET http://vault.example:8200/v1/sys/health ")
		proxy.Reset()
		envtest.Rerun(t, "HTTP_PROXY="+server.URL, "NO_PROXY=vault.example", "NOT_PROXIED=1")
		assert.Empty(t, proxy.Requests())
		return
	}
	cfg := configFor("http://vault.example:8200")
	cfg.HTTP.DisableKeepAlives = true // The process ends with the test.
	o := observe(t, cfg)
	up := int64(1)
	if os.Getenv("NOT_PROXIED") != "" {
		up = 0
	}
	o.Eventually(t, "whether it is up", o.HasValue(up, "vault.up"))
}

// With VAULT_WRAP_TTL in the environment, Vault's own client has each answer wrapped: Vault makes a token for it,
// and the answer comes without its data.
func TestARealVaultWrapsNoAnswer(t *testing.T) {
	if envtest.IsChild() {
		observeWrapped(t)
		return
	}
	vault, client := startVault(t)
	entries := filepath.Join(t.TempDir(), "audit.log")
	require.NoError(t, client.Sys().PutPolicy("app", `path "kv/*" { capabilities = ["read"] }`))
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": entries, "log_raw": "true"},
	}))
	token := tokenFor(t, client, shipped(t))
	policies, err := client.Sys().ListPolicies()
	require.NoError(t, err)
	mounts, err := client.Sys().ListMounts()
	require.NoError(t, err)
	auths, err := client.Sys().ListAuth()
	require.NoError(t, err)
	known := []string{
		"REAL_ADDR=" + vault.Addr, "REAL_TOKEN=" + token, "REAL_STORAGE=" + t.TempDir(),
		"POLICIES=" + strconv.Itoa(len(policies)), "MOUNTS=" + strconv.Itoa(len(mounts)+len(auths)),
	}
	envtest.Rerun(t, known...)
	envtest.Rerun(t, append(known, "VAULT_WRAP_TTL=60s")...)
	envtest.Rerun(t, append(known, "VAULT_WRAP_TTL=60s")...)
	envtest.Rerun(t, known...)

	audited, err := os.ReadFile(entries)
	require.NoError(t, err)
	require.Contains(t, string(audited), `"path":"sys/ha-status"`, "the requests of the receiver are audited")
	assert.NotContains(t, string(audited), "wrap_ttl")
	assert.NotContains(t, string(audited), "wrap_info")
}

// observeWrapped runs a receiver until it has observed what there is, which is nothing new.
func observeWrapped(t *testing.T) {
	t.Helper()
	number := func(variable string) int64 {
		n, err := strconv.ParseInt(os.Getenv(variable), 10, 64)
		require.NoError(t, err)
		return n
	}
	cfg := everything(os.Getenv("REAL_ADDR"))
	cfg.PKI.Mounts, cfg.HTTP.DisableKeepAlives, cfg.OwnToken.ExpiryWarning = nil, true, time.Second
	cfg.Token = configopaque.String(os.Getenv("REAL_TOKEN"))
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	storage, host := observedtest.FileStorage(t, os.Getenv("REAL_STORAGE"))
	cfg.Storage = &storage
	o := observedtest.StartOn(t, host, NewFactory(), cfg)
	o.Eventually(t, "the policies", o.HasValue(number("POLICIES"), "vault.policy.count"))
	o.Eventually(t, "the audit device", o.HasValue(1, "vault.audit.device.count", "vault.audit.device.type", "file"))
	o.Eventually(t, "the mounts", func() bool {
		var sum int64
		for _, series := range o.Series() {
			if strings.HasPrefix(series, "vault.mount.count") {
				n, err := strconv.ParseInt(series[strings.LastIndexByte(series, ' ')+1:], 10, 64)
				require.NoError(t, err)
				sum += n
			}
		}
		return sum == number("MOUNTS")
	})
	for _, metric := range []string{"vault.lease.count", "vault.token.count", "vault.own_token.ttl", "vault.raft.peer.count", "vault.entity.count"} {
		o.Eventually(t, metric, func() bool { return o.HasMetric(metric) })
	}
	before := len(o.Metrics.AllMetrics())
	o.Eventually(t, "more cycles", func() bool { return len(o.Metrics.AllMetrics()) > before+5 })
	assert.Empty(t, o.Trouble())
	var events []string
	for _, event := range o.Events("") {
		events = append(events, event.EventName())
	}
	assert.Empty(t, events, "nothing has happened")
}
