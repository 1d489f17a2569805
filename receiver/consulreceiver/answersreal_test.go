// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/catalog"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

// startAgent starts an agent of Consul that is no server with a catalog of its own,
// and returns the address of its API.
func startAgent(t *testing.T, args ...string) (address string) {
	t.Helper()
	path, err := lab.Binary(t.Context(), "consul", io.Discard)
	require.NoError(t, err)
	ports, err := lab.FreePorts(4)
	require.NoError(t, err)
	dir := t.TempDir()
	agent, err := lab.StartProcess(lab.Command{
		Name: "agent", Path: path, Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir},
		Args: append([]string{
			"agent", "-node=agent", "-data-dir=" + dir + "/data", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn",
			"-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-retry-interval=1s",
			fmt.Sprintf("-http-port=%d", ports[0]), fmt.Sprintf("-server-port=%d", ports[1]),
			fmt.Sprintf("-serf-lan-port=%d", ports[2]), fmt.Sprintf("-serf-wan-port=%d", ports[3]),
		}, args...),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, agent.Stop(context.Background())) })
	address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	require.Eventually(t, func() bool {
		body, status := raw(t, address, endpointMembers)
		return status == http.StatusOK && body != "[]"
	}, 90*time.Second, 50*time.Millisecond, "%s", agent.LogTail(20))
	return address
}

// raw returns an answer as it comes; none while there is no server.
func raw(t *testing.T, address, endpoint string) (body string, status int) {
	t.Helper()
	if strings.HasPrefix(endpoint, endpointKV) {
		endpoint += "?recurse"
	}
	response, err := http.Get("http://" + address + "/v1/" + endpoint)
	if err != nil {
		return "", 0
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return strings.TrimSpace(string(text)), response.StatusCode
}

// The forms of nothing that the table has are those of real servers and agents. None
// of their answers is taken for one that is not Consul's.
func TestWhatConsulAnswersWhenThereIsNothing(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	secured, _ := startConsul(t, lab.ServerOptions{Token: management})
	members, err := client.Agent().Members(false)
	require.NoError(t, err)
	agent := startAgent(t, fmt.Sprintf("-retry-join=%s:%d", members[0].Addr, members[0].Port))
	waiting := startAgent(t, "-server", "-bootstrap-expect=3")
	require.Eventually(t, func() bool { _, status := raw(t, agent, endpointSessions); return status == http.StatusOK }, 90*time.Second, 50*time.Millisecond)

	none := []string{endpointSessions, endpointUserEvents, endpointConfig + api.MeshConfig, endpointKV + "locks/"}
	hidden := []string{endpointChecks, endpointServices, endpointNodes, endpointCoordinates}
	for _, server := range []struct {
		name, address string
		nothing       []string // in these
		forms         map[string]string
	}{
		{"a server", consul.Addr, none, nil},
		{"an agent that is no server", agent, append([]string{endpointMembersWAN}, none...), map[string]string{endpointMembersWAN: "null"}},
		{"a server that waits for others", waiting, []string{endpointLeader, endpointPeers, endpointUserEvents}, map[string]string{endpointLeader: `""`}},
		{"a server that hides all", secured.Addr, hidden, map[string]string{endpointServices: "{}"}},
	} {
		for _, a := range allAsked {
			if server.address == waiting && !slices.Contains(server.nothing, a.endpoint) {
				continue // It waits for a leader.
			}
			t.Run(server.name+" "+a.endpoint, func(t *testing.T) {
				c, p := clientOf(t, server.address)
				got, err := a.read(t, c, p)
				if err != nil {
					t.Logf("it refuses: %v", err)
					require.NotErrorIs(t, err, consulapi.ErrForeign)
				}
				if slices.Contains(server.nothing, a.endpoint) {
					require.NoError(t, err)
					assert.Empty(t, got)
					form, status := raw(t, server.address, a.endpoint)
					if strings.HasPrefix(a.endpoint, endpointKV) {
						assert.Equal(t, http.StatusNotFound, status)
						assert.Empty(t, form)
						return
					}
					want, ok := server.forms[a.endpoint]
					if !ok {
						want = "[]"
					}
					assert.Equal(t, want, form)
					assert.Contains(t, a.empty, form)
				}
			})
		}
	}
}

// A server that has just started has not counted its catalog yet.
func TestTheOverviewOfAConsulThatHasJustStarted(t *testing.T) {
	t.Parallel()
	startConsul(t, lab.ServerOptions{}) // It is built, if need be.
	address := startAgent(t, "-server", "-bootstrap-expect=1")
	var body string
	require.Eventually(t, func() bool {
		var status int
		body, status = raw(t, address, endpointOverview)
		return status == http.StatusOK
	}, 90*time.Second, 10*time.Millisecond)
	t.Log(body) // On a machine that is slow it may have counted.
	c, p := clientOf(t, address)
	_, _, err := catalog.ReadOverview(t.Context(), c, p, "", "")
	require.NoError(t, err)
}

// emptied answers each request with 200 and nothing but a text. What Consul
// itself could answer, it answers without an index.
func emptied(text string) fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		if text != "{}" && text != "[]" {
			w.Header().Set("X-Consul-Index", "1000000")
		}
		_, _ = io.WriteString(w, text)
		return true
	}
}

func TestAConsulWhoseAnswersAreEmptyForAWhile(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	registerService(t, client, "ill")
	acquire(t, client, newSession(t, client, "holder"))
	put(t, client, "config/a", []byte("1"))
	_, _, err := client.ConfigEntries().Set(&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal}, nil)
	require.NoError(t, err)
	asked := append([]string{
		endpointLeader, endpointPeers, endpointConfig, endpointMembers, endpointMembersWAN, endpointKV + "locks/", endpointKV + "config/",
	}, watched...)
	all := append([]string{endpointUsage, endpointOverview, endpointAutopilot, endpointCoordinates}, asked...) // Those are not asked while it is down.
	for _, text := range []string{`{}`, `null`, `[]`, `{"status":"ok"}`} {
		t.Run(text, func(t *testing.T) {
			set(t, client, "ill", api.HealthPassing)
			p := startProxy(t, consul.Addr)
			id, host := observedtest.FileStorage(t, t.TempDir())
			start := func() *observedtest.Receiver {
				cfg := configForKeys(p.addr())
				cfg.Storage = &id
				cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
				return observedtest.StartOn(t, host, NewFactory(), cfg)
			}
			first := start()
			watching(t, first, all...)
			set(t, client, "ill", api.HealthCritical)
			first.Eventually(t, "the outage", first.HasEvent(transition, attrCheck, "ill"))
			before := len(first.Events(""))
			for _, o := range []*observedtest.Receiver{first, nil} {
				p.fail(emptied(text))
				if o == nil {
					first.Shutdown(t)
					o, before = start(), 0 // It knows what is stored.
				}
				for _, endpoint := range asked {
					o.Eventually(t, endpoint+" is down", isUp(t, o, 0, endpoint))
				}
				o.Eventually(t, "the status says why", func() bool { return strings.Contains(o.Trouble(), "the answer is not Consul's, check endpoint") })
				o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
				for _, gauge := range []string{
					"consul.health.check.count", "consul.catalog.service.count", "consul.session.count", "consul.kv.key.count",
					"consul.member.count", "consul.raft.has_leader", "consul.raft.peer.count",
				} {
					assert.False(t, o.HasMetric(gauge), "%s is not known", gauge)
				}
				p.heal()
				watching(t, o, all...)
				o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
				requireNothingGone(t, o)
				assert.Empty(t, o.Events(gap), "nothing moved")
				assert.Len(t, o.Events(""), before, "no event of it")
				assert.Empty(t, o.Spans(health.SpanOutage, attrCheck, "ill"), "it lasts")
			}
		})
	}
}
