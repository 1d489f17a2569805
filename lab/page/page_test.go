// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// The digest is that of lab/page/web/build.mjs: of all files there but for the packages.
func TestTheBundleIsMadeOfItsSources(t *testing.T) {
	entries, err := os.ReadDir("web")
	require.NoError(t, err)
	hash := sha256.New()
	for _, entry := range entries {
		if entry.Name() == "node_modules" {
			continue
		}
		content, err := os.ReadFile(filepath.Join("web", entry.Name()))
		require.NoError(t, err)
		fmt.Fprintf(hash, "%s\n%d\n%s", entry.Name(), len(content), content)
	}
	recorded, err := assets.ReadFile("assets/SOURCES.sha256")
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(recorded)), hex.EncodeToString(hash.Sum(nil)),
		"lab/page/assets is older than lab/page/web: run make page and commit what changed")
}

// What the page loads from a server of its own, it must not load from others.
func TestThePageNamesNoOtherHost(t *testing.T) {
	html, err := assets.ReadFile("assets/index.html")
	require.NoError(t, err)
	assert.NotContains(t, string(html), "://")
	css, err := assets.ReadFile("assets/page.css")
	require.NoError(t, err)
	assert.NotContains(t, string(css), "url(")
}

func backend(t *testing.T) (url string, requests *[]string) {
	t.Helper()
	requests = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*requests = append(*requests, fmt.Sprintf("%s %s %s cookie=%q authorization=%q", r.Method, r.URL, body, r.Header.Get("Cookie"), r.Header.Get("Authorization")))
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func request(t *testing.T, handler http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

const here = "http://127.0.0.1:8000"

func TestQueriesArePassedOn(t *testing.T) {
	prometheus, asked := backend(t)
	jaeger, traced := backend(t)
	handler, err := New(Sources{Jaeger: jaeger, Prometheus: prometheus})
	require.NoError(t, err)

	answer := request(t, handler, http.MethodPost, here+"/prometheus/api/v1/query_range", "query=up", "Cookie", "a=b", "Authorization", "Bearer c")
	assert.Equal(t, http.StatusOK, answer.Code)
	assert.Empty(t, answer.Header().Get("Access-Control-Allow-Origin"), "another page may not read it")
	request(t, handler, http.MethodGet, here+"/prometheus/api/v1/query_exemplars?query=up", "")
	request(t, handler, http.MethodGet, here+"/jaeger/api/v3/traces/abc", "")
	assert.Equal(t, []string{
		`POST /api/v1/query_range query=up cookie="" authorization=""`,
		`GET /api/v1/query_exemplars?query=up  cookie="" authorization=""`,
	}, *asked)
	assert.Equal(t, []string{`GET /api/v3/traces/abc  cookie="" authorization=""`}, *traced)
}

func TestOnlyTheLocalPageMayAsk(t *testing.T) {
	prometheus, asked := backend(t)
	handler, err := New(Sources{Jaeger: prometheus, Prometheus: prometheus})
	require.NoError(t, err)
	const query = "/prometheus/api/v1/query"
	for name, test := range map[string]struct {
		method, target string
		headers        []string
		want           int
	}{
		"a path that changes Prometheus":           {http.MethodPost, here + "/prometheus/api/v1/admin/tsdb/snapshot", nil, http.StatusMethodNotAllowed},
		"another path of Prometheus":               {http.MethodGet, here + "/prometheus/api/v1/status/config", nil, http.StatusNotFound},
		"a way out of the path":                    {http.MethodGet, here + "/jaeger/api/v3/traces/..%2F..%2Fx", nil, http.StatusBadRequest},
		"a POST to Jaeger":                         {http.MethodPost, here + "/jaeger/api/v3/traces/abc", nil, http.StatusMethodNotAllowed},
		"a name that was bound to this address":    {http.MethodGet, "http://evil.example:8000/now", nil, http.StatusForbidden},
		"a POST of a page of another origin":       {http.MethodPost, here + query, []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		"a POST that the browser calls cross-site": {http.MethodPost, here + query, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			*asked = nil
			assert.Equal(t, test.want, request(t, handler, test.method, test.target, "", test.headers...).Code)
			assert.Empty(t, *asked)
		})
	}
	for _, target := range []string{"http://localhost:1/", "http://[::1]:1/", here + "/"} {
		answer := request(t, handler, http.MethodGet, target, "")
		assert.Equal(t, http.StatusOK, answer.Code, target)
		assert.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'")
	}
}

func TestSourcesThatDoNotAnswerAreNamed(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	handler, err := New(Sources{Jaeger: closed.URL, Prometheus: closed.URL})
	require.NoError(t, err)

	answer := request(t, handler, http.MethodGet, here+"/prometheus/api/v1/query?query=up", "")
	assert.Equal(t, http.StatusBadGateway, answer.Code)
	assert.Contains(t, answer.Body.String(), "Prometheus does not answer: ")
	answer = request(t, handler, http.MethodGet, here+"/jaeger/api/v3/traces/abc", "")
	assert.Contains(t, answer.Body.String(), "Jaeger does not answer: ")

	var n Now
	require.NoError(t, json.Unmarshal(request(t, handler, http.MethodGet, here+"/now", "").Body.Bytes(), &n))
	assert.Contains(t, n.Systems.Error, "Prometheus does not answer: ")
	var r Recent
	require.NoError(t, json.Unmarshal(request(t, handler, http.MethodGet, here+"/recent", "").Body.Bytes(), &r))
	for _, reported := range []string{
		n.Incidents.Error, n.Locks.Error, n.Workflows.Error, r.Incidents.Error, r.Waits.Error, r.Slowest.Error, r.Failed.Error,
	} {
		assert.Contains(t, reported, "Jaeger does not answer: ")
	}
}

func TestAServerNeedsURLs(t *testing.T) {
	_, err := New(Sources{Jaeger: "http://127.0.0.1:1", Prometheus: "127.0.0.1:9090"})
	require.ErrorContains(t, err, "prometheus: ")
	_, err = New(Sources{Prometheus: "http://127.0.0.1:1"})
	require.ErrorContains(t, err, "jaeger: ")
}

func TestServerServesUntilItIsClosed(t *testing.T) {
	s, err := Start(t.Context(), Sources{Jaeger: "http://127.0.0.1:1", Prometheus: "http://127.0.0.1:1"})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+"/dashboards", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	var all []struct{ Dashboard struct{ Kind string } }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&all))
	require.NoError(t, response.Body.Close())
	require.NotEmpty(t, all)
	assert.Equal(t, "Dashboard", all[0].Dashboard.Kind)
	require.NoError(t, s.Close())
	if response, err = http.DefaultClient.Do(r); err == nil {
		require.NoError(t, response.Body.Close())
	}
	require.ErrorContains(t, err, "connection refused")
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func span(trace, id, parent, name string, attributes ...any) readback.Span {
	s := readback.Span{TraceID: trace, SpanID: id, ParentSpanID: parent, Name: name, Service: "s", Start: began, Duration: time.Second, Attributes: map[string]any{}}
	for i := 0; i < len(attributes); i += 2 {
		s.Attributes[attributes[i].(string)] = attributes[i+1]
	}
	return s
}

func TestWhatIsOpenIsWhatHasAMarkerAndNoEnd(t *testing.T) {
	incidents, locks := openPeriods([]readback.Span{
		span("1", "b", "a", "consul.service.incident.start", "consul.service.name", "web", "consul.check.status", "critical"),
		span("1", "d", "c", "consul.check.outage.start", "consul.service.name", "web"),
		span("1", "b", "a", "consul.service.incident.start", "consul.service.name", "web"), // found by two searches
		span("2", "b", "a", "consul.service.incident.start", "consul.service.name", "ended"),
		span("2", "a", "", "consul.service.incident", "consul.service.name", "ended"),
		span("3", "b", "a", "vault.sealed.start"),
		span("4", "b", "a", "etcd.lock.attempt.start", "etcd.lock.name", "/l", "etcd.lease.id", "7"),
		span("4", "c", "a", "etcd.lock.wait"),
		span("5", "b", "a", "etcd.lock.attempt.start", "etcd.lock.name", "/l", "etcd.lease.id", "8"),
		span("6", "b", "a", "consul.lock.hold.start", "consul.kv.key.name", "k", "consul.session.id", "9"),
		span("7", "b", "a", "etcd.lease.start"), // neither an incident nor a lock
	})
	type row struct{ name, subject, status, holder string }
	rows := func(periods []Period) (all []row) {
		for _, p := range periods {
			all = append(all, row{p.Name, p.Subject, p.Status, p.Holder})
		}
		return all
	}
	assert.Equal(t, []row{{"vault.sealed", "", "", ""}, {"consul.service.incident", "web", "critical", ""}}, rows(incidents))
	assert.Equal(t, []row{
		{"etcd.lock.attempt", "/l", "holds", "7"}, {"etcd.lock.attempt", "/l", "waits", "8"}, {"consul.lock.hold", "k", "holds", "9"},
	}, rows(locks))
	assert.Equal(t, "a", incidents[1].SpanID, "that of the incident, not of its marker")
	assert.Equal(t, began.Add(time.Second), locks[0].Since, "since the wait ended")
	assert.Equal(t, began, locks[1].Since, "since it was enqueued")
}

func TestAWorkflowRunsUntilItsOwnSpanIsThere(t *testing.T) {
	failed := span("3", "a", "", "StartWorkflow:Order")
	failed.Failed = true
	open := running([]readback.Span{
		span("1", "a", "", "StartWorkflow:Order", "temporalWorkflowID", "order-1"),
		span("2", "a", "", "StartWorkflow:Order", "temporalWorkflowID", "order-2"),
		span("2", "b", "a", "RunWorkflow:Order"),
		failed,
	})
	require.Len(t, open, 1)
	assert.Equal(t, Period{Name: "Order", Service: "s", Subject: "order-1", Status: "runs", Since: began, TraceID: "1", SpanID: "a"}, open[0])
}

func TestASearchThatFindsMoreThanIsReadSaysSo(t *testing.T) {
	jaeger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch service := r.URL.Query().Get("service"); {
		case r.URL.Path == "/api/v3/operations" && service == "etcd":
			fmt.Fprint(w, `{"operations":[{"name":"etcd.lock.attempt.start"}]}`)
		case r.URL.Path == "/api/v3/traces":
			for i := range mostTraces {
				fmt.Fprintf(w, `{"result":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","parentSpanId":"%016x","name":"etcd.lock.attempt.start"}]}]}]}}`+"\n", i+1, 1, 2)
			}
		default:
			fmt.Fprint(w, `{}`)
		}
	}))
	defer jaeger.Close()
	n := query(t.Context(), readback.Jaeger(jaeger.URL), readback.Prometheus(jaeger.URL))
	assert.Len(t, n.Locks.Items, mostTraces)
	assert.Equal(t, "of etcd.lock.attempt.start only the newest traces were read: there may be more that are open", n.Locks.Error)
	assert.Empty(t, n.Incidents.Error)
	assert.Empty(t, n.Workflows.Error)
}

func TestStates(t *testing.T) {
	series := func(name string, value float64, instance string) readback.Series {
		return readback.Series{Name: name, Value: value, Labels: map[string]string{"instance": instance}}
	}
	checks := func(status string, count float64) readback.Series {
		return readback.Series{Name: "consul_health_check_count", Value: count, Labels: map[string]string{"consul_check_status": status}}
	}
	assert.Contains(t, states([]readback.Series{series("consul_up", 1, "c"), checks("passing", 2), checks("critical", 0)}),
		State{"consul", "0 of 2 checks critical", false})
	assert.Equal(t, []State{
		{"consul", "1 of 1 agents answer", false}, {"consul", "no leader", true}, {"consul", "1 of 3 checks critical", true},
		{"etcd", "2 of 3 members answer", true}, {"etcd", "has a leader", false}, {"etcd", "locks held: 1, waiting: 2", false},
		{"vault", "2 of 2 servers answer", false}, {"vault", "sealed: v2", true},
	}, states([]readback.Series{
		checks("passing", 2), checks("critical", 1), checks("warning", 0),
		series("consul_up", 1, "c"), series("consul_raft_has_leader", 0, "c"),
		series("etcd_member_up", 1, "e1"), series("etcd_member_up", 1, "e2"), series("etcd_member_up", 0, "e3"),
		series("etcd_raft_has_leader", 1, "e"), series("etcd_lock_holder_count", 1, "e"), series("etcd_lock_waiter_count", 2, "e"),
		series("vault_up", 1, "v1"), series("vault_up", 1, "v2"), series("vault_sealed", 0, "v1"), series("vault_sealed", 1, "v2"),
	}))
	for _, s := range states(nil) {
		assert.True(t, s.Bad)
		assert.Contains(t, s.Text, "no metrics")
	}
}

// at gives a span another service, begin and duration.
func at(s readback.Span, service string, start, duration time.Duration) readback.Span {
	s.Service, s.Start, s.Duration = service, began.Add(start), duration
	return s
}

func failing(s readback.Span) readback.Span {
	s.Failed = true
	return s
}

func traceIDs(all []Past) (ids []string) {
	for _, p := range all {
		ids = append(ids, p.TraceID)
	}
	return ids
}

func TestTheIncidentsThatEndedLastAreListed(t *testing.T) {
	incident := span("2", "a", "", "consul.service.incident", "consul.service.name", "web", "consul.check.status", "critical")
	found := closed([]readback.Span{
		at(span("1", "a", "", "vault.sealed", "vault.node.name", "v1"), "vault", 0, time.Second),
		at(failing(incident), "consul", -time.Hour, 2*time.Hour),
		at(failing(incident), "consul", -time.Hour, 2*time.Hour), // found by two searches
		at(span("2", "b", "a", "consul.check.outage"), "consul", -time.Hour, 2*time.Hour),
		at(span("3", "a", "b", "consul.check.outage"), "consul", 0, time.Minute), // of an incident that is open
		at(span("3", "c", "b", "consul.service.incident.start"), "consul", 0, 0),
		at(span("4", "a", "", "etcd.lock.attempt"), "etcd", 0, time.Minute),
		at(span("5", "a", "", "shop.outage"), "shop", 0, time.Minute), // an application's
	})
	assert.Equal(t, []string{"2", "3", "1"}, traceIDs(found))
	assert.Equal(t, Past{
		Name: "consul.service.incident", Service: "consul", Subject: "web", Status: "critical", Failed: true,
		Began: began.Add(-time.Hour), Seconds: 7200, TraceID: "2", SpanID: "a",
	}, found[0])
}

func TestTheLongestWaitsForLocksAreListed(t *testing.T) {
	spans := []readback.Span{
		at(span("0", "a", "b", "etcd.lock.wait", "etcd.lock.name", "/l"), "etcd", 0, time.Nanosecond), // had it at once
		at(span("0", "c", "b", "etcd.lock.hold", "etcd.lock.name", "/l"), "etcd", 0, time.Hour),
	}
	for i := 1; i <= mostListed+1; i++ {
		spans = append(spans, at(span(strconv.Itoa(i), "a", "b", "etcd.lock.wait", "etcd.lock.name", "/l", "etcd.lease.id", "7"), "etcd", 0, time.Duration(i)*time.Second))
	}
	found := waits(spans)
	assert.Equal(t, []string{"6", "5", "4", "3", "2"}, traceIDs(found))
	assert.Equal(t, "/l", found[0].Subject)
	assert.Equal(t, "7", found[0].Holder)
	assert.InDelta(t, 6, found[0].Seconds, 0)
}

func TestTheSlowestAndTheFailedRequestsAreListed(t *testing.T) {
	poll := at(span("5", "a", "", "Poll"), "worker", 0, time.Hour)
	poll.Kind = "Client"
	slowest, failed := slowestAndFailed([]readback.Span{
		at(span("1", "a", "", "POST /orders"), "edge", 0, 2*time.Second),
		at(span("1", "b", "a", "POST /orders"), "orders", 0, time.Second),
		at(failing(span("2", "a", "", "POST /orders", "error.type", "503")), "edge", 0, time.Second),
		at(failing(span("3", "a", "", "POST /orders")), "edge", time.Minute, time.Millisecond),
		at(failing(span("4", "a", "", "etcd.lock.attempt")), "etcd", 0, time.Hour),
		at(span("6", "a", "", "queue"), "io.temporal.history", 0, time.Hour),
		poll,
	})
	assert.Equal(t, []string{"1", "2", "3"}, traceIDs(slowest))
	assert.Equal(t, []string{"3", "2"}, traceIDs(failed))
	assert.Equal(t, "503", failed[1].Status)
}

func TestRecentAsksOnlyForTheNewest(t *testing.T) {
	var lock sync.Mutex
	var asked []string
	jaeger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case r.URL.Path == "/api/v3/services":
			fmt.Fprint(w, `{"services":["edge","etcd","io.temporal.frontend"]}`)
		case r.URL.Path == "/api/v3/operations" && query.Get("service") == "etcd":
			fmt.Fprint(w, `{"operations":[{"name":"etcd.leaderless"},{"name":"etcd.leaderless.start"},{"name":"etcd.lease"}]}`)
		case r.URL.Path == "/api/v3/traces":
			lock.Lock()
			asked = append(asked, fmt.Sprintf("%s %s %s", query.Get("query.service_name"), query.Get("query.operation_name"), query.Get("query.num_traces")))
			lock.Unlock()
			for i := range mostRequests {
				fmt.Fprintf(w, `{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"edge"}}]},"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":"POST /orders"}]}]}]}}`+"\n", i+1, 1)
			}
		default:
			fmt.Fprint(w, `{}`)
		}
	}))
	defer jaeger.Close()
	r := queryRecent(t.Context(), readback.Jaeger(jaeger.URL))
	assert.ElementsMatch(t, []string{"etcd etcd.leaderless 200", "etcd etcd.lock.wait 200", "edge  100"}, asked)
	assert.Len(t, r.Slowest.Items, mostListed)
	assert.Equal(t, "of edge only the newest traces were read: there may be older ones", r.Slowest.Error)
	assert.Empty(t, r.Incidents.Error)
	assert.Empty(t, r.Waits.Error)
	assert.NotNil(t, r.Failed.Items, "as the page counts them")
}
