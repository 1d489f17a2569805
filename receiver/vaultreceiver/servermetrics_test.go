// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// row is a metric as server-metrics.md lists it, which a test of the telemetry
// package keeps equal to the code.
type row struct {
	name, kind string
	sources    [][]string // alternatives of each
}

func listed(t *testing.T) (rows []row) {
	t.Helper()
	file, err := os.ReadFile("server-metrics.md")
	require.NoError(t, err)
	of := regexp.MustCompile("(?m)^\\| `(vault\\.server\\.[a-z_.]+)` \\| `[^`]+` \\| ([a-z-][a-z -]*) \\| [^|]*\\| ([^|]+) \\|")
	for _, found := range of.FindAllStringSubmatch(string(file), -1) {
		r := row{name: found[1], kind: found[2]}
		for _, source := range strings.Split(found[3], ", ") {
			r.sources = append(r.sources, strings.Split(strings.ReplaceAll(source, "`", ""), " or "))
		}
		rows = append(rows, r)
	}
	require.Greater(t, len(rows), 50)
	return rows
}

// sum sums up what the page has for the row: values, or the counts of summaries.
func (r row) sum(families map[string]*dto.MetricFamily) (sum float64) {
	for _, names := range r.sources {
		for _, name := range names {
			pattern := strings.ReplaceAll(name, "<storage>", "raft_storage")
			pattern = regexp.MustCompile("<[a-z]+>").ReplaceAllString(pattern, "[a-z_]*")
			of := regexp.MustCompile("^" + pattern + "$")
			found := false
			for name, family := range families {
				if !of.MatchString(name) {
					continue
				}
				found = true
				for _, series := range family.GetMetric() {
					sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetSummary().GetSampleCount())
				}
			}
			if found {
				break
			}
		}
	}
	return sum
}

// total sums up the points of a metric in the same way.
func total(m pmetric.Metric) (sum float64) {
	switch m.Type() {
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			sum += float64(p.Count())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			sum += p.DoubleValue() + float64(p.IntValue())
		}
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			sum += p.DoubleValue() + float64(p.IntValue())
		}
	}
	return sum
}

// own returns Vault's own metrics in the newest batch, by name.
func own(o *observedtest.Receiver) map[string]pmetric.Metric {
	named := map[string]pmetric.Metric{}
	all := o.Metrics.AllMetrics()
	if len(all) == 0 {
		return named
	}
	for _, m := range all[len(all)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if strings.HasPrefix(m.Name(), "vault.server.") {
			named[m.Name()] = m
		}
	}
	return named
}

// askPage returns the text of a page of Vault's own metrics.
func askPage(t *testing.T, address, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/v1/sys/metrics?format=prometheus", http.NoBody)
	require.NoError(t, err)
	request.Header.Set(api.AuthHeaderName, token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(text))
	return string(text)
}

func families(t *testing.T, page string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	require.NoError(t, err)
	return families
}

// work has Vault do something of all that it has metrics for.
func work(t *testing.T, client *api.Client) {
	t.Helper()
	client.SetMaxRetries(0)
	do := func(_ *api.Secret, err error) { t.Helper(); require.NoError(t, err) }
	log := filepath.Join(t.TempDir(), "audit")
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{Type: "file", Options: map[string]string{"file_path": log}}))
	require.NoError(t, client.Sys().EnableAuditWithOptions("broken", &api.EnableAuditOptions{
		Type: "socket", Options: map[string]string{"address": "127.0.0.1:1", "socket_type": "tcp", "skip_test": "true"},
	}))
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))
	for range 3 {
		do(client.Logical().Write("kv/a", map[string]any{"a": "b"}))
		do(client.Logical().Read("kv/a"))
		do(client.Logical().List("kv"))
		do(client.Logical().Delete("kv/a"))
	}
	do(client.Logical().Write("kv/b", map[string]any{"a": "b"}))
	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	do(client.Logical().Write("auth/userpass/users/ann", map[string]any{"password": "p", "token_ttl": "1s"}))
	do(client.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "p"}))
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki"}))
	do(client.Logical().Write("pki/root/generate/internal", map[string]any{"common_name": "lab", "ttl": "1h", "key_type": "ec"}))
	do(client.Logical().Write("pki/roles/web", map[string]any{"allow_any_name": true, "generate_lease": true, "key_type": "ec", "ttl": "10m"}))
	issued, err := client.Logical().Write("pki/issue/web", map[string]any{"common_name": "a.lab"})
	require.NoError(t, err)
	require.NoError(t, client.Sys().Revoke(issued.LeaseID))
	require.NoError(t, client.Sys().Unmount("pki")) // It attempts a rollback.
	require.NoError(t, client.Sys().PutPolicy("some", `path "kv/a" { capabilities = ["read"] }`))
	token, err := client.Auth().Token().Create(&api.TokenCreateRequest{TTL: "1h"})
	require.NoError(t, err)
	do(client.Auth().Token().RenewTokenAsSelf(token.Auth.ClientToken, 60))
	require.NoError(t, client.Auth().Token().RevokeTree(token.Auth.ClientToken))
	_, err = client.Logical().Read("absent/a")
	require.NoError(t, err)
}

func TestVaultsOwnMetrics(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3, Steady: true, ExtraHCL: `telemetry {
  disable_hostname   = true
  usage_gauge_period = "1s"
}`})
	active := leaderOf(t, vault, -1)
	client, err := vault.Client(active)
	require.NoError(t, err)
	work(t, client)
	cfg := only(vault.Addrs[active], tokenFor(t, client, policyOf(t, "Cluster")))
	cfg.ScrapeServerMetrics = true
	o := observe(t, cfg, string(cfg.Token), vault.RootToken)
	late := map[string]bool{ // What a Vault that is well, and without an auto seal, has not.
		"vault.server.barrier.rotations":       true,
		"vault.server.lease.expiration.errors": true,
		"vault.server.seal.errors":             true,
		"vault.server.seal.unreachable.time":   true,
	}
	quiet := map[string]bool{ // What is there, and need not have happened.
		"vault.server.audit.failures":                    true,
		"vault.server.leadership.duration":               true,
		"vault.server.leadership.setup_failure.duration": true,
		"vault.server.step_down.duration":                true,
	}
	rows := listed(t)
	for _, r := range rows {
		if !late[r.name] {
			o.Eventually(t, r.name, func() bool { _, ok := own(o)[r.name]; return ok })
		}
	}

	before := families(t, askPage(t, vault.Addrs[active], vault.RootToken))
	batches := len(o.Metrics.AllMetrics())
	o.Eventually(t, "a page that was asked for since", func() bool { return len(o.Metrics.AllMetrics()) > batches+2 })
	found := own(o)
	after := families(t, askPage(t, vault.Addrs[active], vault.RootToken))
	for _, r := range rows {
		m, ok := found[r.name]
		if !ok {
			assert.True(t, late[r.name], r.name)
			continue
		}
		if r.name == "vault.server.mount_table.size" || r.name == "vault.server.kv.secret.count" { // They rest.
			assert.Positive(t, r.sum(after), r.name)
			assert.Equal(t, r.sum(after), total(m), r.name)
		}
		if r.kind == "counter" || r.kind == "summary" {
			assert.LessOrEqual(t, r.sum(before), total(m), r.name)
			assert.GreaterOrEqual(t, r.sum(after), total(m), r.name)
			assert.True(t, quiet[r.name] || total(m) != 0, r.name)
		}
	}
	assert.Zero(t, o.Warnings(serverMetrics))
	assert.Zero(t, o.Warnings(endpointMetrics))

	standby := observe(t, func() *Config {
		cfg := only(vault.Addrs[(active+1)%3], string(cfg.Token))
		cfg.ScrapeServerMetrics = true
		return cfg
	}())
	standby.Eventually(t, "a standby", standby.HasValue(0, "vault.active"))
	batches = len(standby.Metrics.AllMetrics())
	standby.Eventually(t, "more cycles", func() bool { return len(standby.Metrics.AllMetrics()) > batches+2 })
	assert.Empty(t, own(standby), "the active node tells for all")
	assert.Zero(t, standby.Warnings(endpointMetrics))
}

func TestLeadershipThatIsLost(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Cluster")))
	cfg.ScrapeServerMetrics = true
	o := observe(t, cfg)
	count := func(name string) func() float64 {
		return func() float64 {
			m, ok := own(o)[name]
			if !ok {
				return -1
			}
			return total(m)
		}
	}
	lost, stepped := count("vault.server.leadership.duration"), count("vault.server.step_down.duration")
	o.Eventually(t, "it is told before it happens", func() bool { return lost() == 0 && stepped() == 0 })
	require.NoError(t, vault.StepDown(t.Context()))
	o.Eventually(t, "it has happened", func() bool { return lost() == 1 && stepped() == 1 })
}

func TestTheOwnMetricsAreOffByDefault(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Cluster")))
	o := observe(t, cfg)
	o.Eventually(t, "an active server", o.HasValue(1, "vault.active"))
	batches := len(o.Metrics.AllMetrics())
	o.Eventually(t, "more cycles", func() bool { return len(o.Metrics.AllMetrics()) > batches+2 })
	assert.Empty(t, own(o))
	assert.Zero(t, o.Own(t, "otelcol_vault_requests", "request", endpointMetrics), "nobody asks who does not need it")
}

// A gauge can have the name of the host in its name, and metrics another prefix.
func TestOtherNamesOfVaultsMetrics(t *testing.T) {
	for name, stanza := range map[string]string{
		"the name of the host": "disable_hostname = false\n statsd_address = \"127.0.0.1:1\"",
		"the host as a label":  "disable_hostname = false\n statsd_address = \"127.0.0.1:1\"\n enable_hostname_label = true",
		"another prefix":       "disable_hostname = true\n metrics_prefix = \"mine\"",
	} {
		t.Run(name, func(t *testing.T) {
			vault := startVaults(t, lab.ServerOptions{ExtraHCL: "telemetry {\n " + stanza + "\n}"})
			client, err := vault.Client(0)
			require.NoError(t, err)
			limitSecrets(t, client)
			cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Cluster", "Quotas")))
			cfg.ScrapeServerMetrics, cfg.Leases.Mode, cfg.Quotas.Enabled = true, ModeCount, true
			o := observe(t, cfg)
			o.Eventually(t, "the leases", o.HasValue(1, "vault.lease.count"))
			for _, name := range []string{"vault.server.process.goroutine.count", "vault.server.process.gc.runs", "vault.server.request.duration"} {
				o.Eventually(t, name, func() bool { m, ok := own(o)[name]; return ok && total(m) > 0 })
			}
			refused := hammer(t, client, 2)
			o.Eventually(t, "what the quota refused", o.HasValue(refused, "vault.quota.refusals"))
		})
	}
}

const ownPage = `# TYPE vault_core_unsealed gauge
vault_core_unsealed 1
# TYPE vault_expire_num_leases gauge
vault_expire_num_leases 3
# TYPE vault_raft_apply counter
vault_raft_apply 5
`

func answerPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, ownPage)
}

func TestAPageThatIsThere(t *testing.T) {
	var asked *http.Request
	cfg := configFor(serve(t, map[string]http.Handler{"sys/metrics": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		answerPage(w, r)
	})}).URL)
	cfg.Token, cfg.Namespace = "planted", "team"
	read, err := clientOf(t, cfg).Page(t.Context())
	require.NoError(t, err)
	leases, known := read.Leases()
	assert.True(t, known)
	assert.Equal(t, int64(3), leases)
	assert.Equal(t, "format=prometheus", asked.URL.RawQuery)
	assert.Equal(t, "planted", asked.Header.Get(api.AuthHeaderName))
	assert.Equal(t, "team", asked.Header.Get(api.NamespaceHeaderName))
}

func TestPagesThatCannotBeRead(t *testing.T) {
	large := ownPage + strings.Repeat("# nothing but a comment\n", maxPage/20)
	answer := func(status int, kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	for reason, handler := range map[string]http.Handler{
		"vault does not tell its metrics in the format of prometheus: set prometheus_retention_time": answer(400, "text/plain", "prometheus is not enabled"),
		"sys/metrics: the answer is not Vault's, check endpoint: status 400":                         answer(400, "text/html", "<html>"),
		"sys/metrics: the answer is not Vault's, check endpoint: it is of type \"text/html\"":        answer(200, "text/html", "<html>"),
		"sys/metrics: the answer is not Vault's, check endpoint: it is of type \"application/json\"": recorded{200, "metrics.json"},
		"sys/metrics: the answer is not Vault's, check endpoint: text format parsing error":          answer(200, "text/plain", "{\"a\": 1}\n"),
		"sys/metrics: the page is not that of a Vault, check endpoint":                               answer(200, "text/plain", "go_goroutines 1\n"),
		"sys/metrics: the page is not that of a Vault":                                               answer(200, "text/plain", ""),
		"sys/metrics: the answer is not Vault's, check endpoint: text format parsing":                answer(200, "text/plain", "null\n"),
		"sys/metrics: unexpected EOF": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", strconv.Itoa(len(ownPage)+1))
			_, _ = io.WriteString(w, ownPage)
		}),
		"sys/metrics: the page is larger than 16 MiB: exclude what nobody needs":                   answer(200, "text/plain", large),
		"sys/metrics: redirected to http://127.0.0.1:1, which is not followed: set endpoint to it": http.RedirectHandler("http://127.0.0.1:1/v1/sys/metrics", http.StatusTemporaryRedirect),
		"sys/metrics: the token is not or no longer valid: status 403":                             recorded{403, "denied_403.json"},
		"sys/metrics: the server is sealed":                                                        recorded{503, "leader_503_sealed.json"},
	} {
		t.Run(reason, func(t *testing.T) {
			cfg := configFor(serve(t, map[string]http.Handler{"sys/metrics": handler}).URL)
			cfg.Token, cfg.HTTP.Timeout = "planted", time.Minute
			_, err := clientOf(t, cfg).Page(t.Context())
			require.ErrorContains(t, err, reason)
		})
	}
}

// metricsServer is an active Vault with this page.
func metricsServer(t *testing.T, page http.Handler) *httptest.Server {
	t.Helper()
	return serve(t, map[string]http.Handler{
		"sys/health":       recorded{200, "health_200_active.json"},
		"sys/leader":       recorded{200, "leader_active.json"},
		"sys/leases/count": recorded{200, "leases_count.json"},
		"sys/metrics":      page,
	})
}

// One that does not tell its metrics so is not asked each time.
func TestTheFormatThatIsRefusedIsSeldomAskedFor(t *testing.T) {
	var plain, other atomic.Int32
	server := metricsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") == "" {
			plain.Add(1)
			recorded{200, "metrics_hostname.json"}.ServeHTTP(w, r)
			return
		}
		if other.Add(1) > 2 {
			answerPage(w, r)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, saysNotEnabled)
	}))
	cfg := only(server.URL, "a-token")
	cfg.Leases.Mode, cfg.ScrapeServerMetrics = ModeCount, true
	o := observe(t, cfg)
	o.Eventually(t, "the leases", o.HasValue(3, "vault.lease.count"))
	o.Eventually(t, "what to do", func() bool { return o.Warnings(serverMetrics) == 1 })
	o.Eventually(t, "a Vault that was configured anew", func() bool { return len(own(o)) == 1 })
	assert.EqualValues(t, 2*plainFor, plain.Load())
	o.Eventually(t, "it is well", func() bool { return o.Recoveries(serverMetrics) == 1 })
}

func TestAMetricThatIsNotWhatItSaysCostsOnlyTheOwnMetrics(t *testing.T) {
	server := metricsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerPage(w, r)
		_, _ = io.WriteString(w, "vault_core_handle_request 1\n")
	}))
	cfg := only(server.URL, "a-token")
	cfg.Leases.Mode, cfg.ScrapeServerMetrics = ModeCount, true
	o := observe(t, cfg)
	o.Eventually(t, "the leases", o.HasValue(3, "vault.lease.count"))
	o.Eventually(t, "the complaint", func() bool {
		return strings.Contains(o.Trouble(), "server metrics: vault_core_handle_request is not a summary")
	})
	assert.Empty(t, own(o))
	assert.Zero(t, o.Warnings(endpointMetrics))
}

func TestAPageIsReadOncePerCycle(t *testing.T) {
	var asked atomic.Int32
	server := serve(t, map[string]http.Handler{
		"sys/health":            recorded{200, "health_200_active.json"},
		"sys/leader":            recorded{200, "leader_active.json"},
		"sys/leases/count":      recorded{200, "leases_count.json"},
		"sys/quotas/rate-limit": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":{"keys":[]}}`) }),
		"sys/metrics":           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); answerPage(w, r) }),
	})
	cfg := only(server.URL, "a-token")
	cfg.Leases.Mode, cfg.ScrapeServerMetrics, cfg.Quotas.Enabled = ModeCount, true, true
	cfg.Quotas.Interval = 20 * time.Millisecond
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 2*time.Second, 0
	o := observedtest.Start(t, NewFactory(), cfg)
	quotas := func() int64 { return o.Own(t, "otelcol_vault_requests", "request", endpointQuotas) }
	o.Eventually(t, "many looks at the quotas", func() bool { return quotas() > 60 })
	assert.Less(t, int64(asked.Load()), quotas()/2, "they take the page of the metrics")
	o.Eventually(t, "the metrics", func() bool { return len(own(o)) > 0 })
}

// Two cycles can be close together, and quotas can have read a page in between.
func TestAPageThatIsNewServesTwoCycles(t *testing.T) {
	server := metricsServer(t, http.HandlerFunc(answerPage))
	cfg := only(server.URL, "a-token")
	cfg.ScrapeServerMetrics, cfg.Scrape.CollectionInterval = true, time.Hour
	settings := receivertest.NewNopSettings(metadata.Type)
	w, err := newWatcher(cfg, settings)
	require.NoError(t, err)
	w.client = clientOf(t, cfg)
	round, err := w.client.Look(t.Context())
	require.NoError(t, err)
	w.saw(time.Now(), round, nil)
	close(w.asked)
	scraper := newScraper(cfg, settings, &sharedcomponent.Shared[*watcher]{Observer: w})
	scraper.client = w.client
	for range 2 {
		found := false
		for _, m := range scraper.Scrape(t.Context()).ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			found = found || strings.HasPrefix(m.Name(), "vault.server.")
		}
		assert.True(t, found)
	}
}
