// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	// gaugeLeases is how the name of the gauge ends; before it come a prefix
	// and, depending on Vault's telemetry stanza, the name of the host.
	gaugeLeases = ".expire.num_leases"

	// saysSealed is how Vault refuses a request because it is sealed.
	saysSealed = "Vault is sealed"
)

var (
	// errForeign is the error of an answer that Vault would not give.
	errForeign = errors.New("the answer is not Vault's, check endpoint")

	errSealed = errors.New("the server is sealed")
)

// client is the part of the Vault API that the receiver uses.
type client struct {
	api       *api.Client // has neither token nor namespace
	http      *http.Client
	session   *session
	namespace string
}

// newClient connects lazily: an absent server is found at the first request.
func newClient(ctx context.Context, cfg *Config, host component.Host, settings component.TelemetrySettings) (*client, error) {
	limited := cfg.HTTP
	limited.Timeout = cmp.Or(limited.Timeout, defaultTimeout)
	httpClient, err := limited.ToClient(ctx, host.GetExtensions(), settings)
	if err != nil {
		return nil, fmt.Errorf("http client for endpoint %s: %w", cfg.HTTP.Endpoint, err)
	}
	// A standby redirects to the active node, which is another instance.
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	vault, err := api.NewClient(&api.Config{Address: cfg.HTTP.Endpoint, HttpClient: httpClient, DisableRedirects: true})
	if err != nil { // The API takes defaults from the environment even where none is needed.
		return nil, fmt.Errorf("vault client for endpoint %s, check the environment variables VAULT_*: %w", cfg.HTTP.Endpoint, err)
	}
	vault.ClearToken()
	vault.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})

	c := &client{api: vault, http: httpClient, namespace: cfg.Namespace}
	c.session = newSession(cfg, c)
	return c, nil
}

// close ends the idle connections. It may be called on nil.
func (c *client) close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// hasToken says whether requests that need a token make sense now.
func (c *client) hasToken() bool { return c.session.hasToken() }

// Server returns the state of the server, its view of the leader included.
func (c *client) Server(ctx context.Context) (state.Server, error) {
	server, err := c.Health(ctx)
	if err != nil || server.Sealed { // A sealed server does not know the leader.
		return server, err
	}
	var leader api.LeaderResponse
	err = get(ctx, c.api, endpointLeader, nil, &leader)
	if errors.Is(err, errSealed) { // since a moment ago
		server.Sealed = true
		return server, nil
	}
	server.HAEnabled, server.LeaderAddress = leader.HAEnabled, leader.LeaderAddress
	return server, err
}

// Health returns the state of the server without its view of the leader.
func (c *client) Health(ctx context.Context) (state.Server, error) {
	var answer struct {
		api.HealthResponse
		Initialized *bool `json:"initialized"`
	}
	// The body tells all that the status code does. For most states the code
	// is one of an error, and proxies have errors with these codes too.
	err := get(ctx, c.api, endpointHealth, nil, &answer)
	if answer.Initialized == nil {
		return state.Server{}, cmp.Or(err, errors.New(endpointHealth+": the answer does not tell the state of a Vault server, check endpoint"))
	}
	return state.Server{
		Initialized: *answer.Initialized,
		Sealed:      answer.Sealed,
		Standby:     answer.Standby || answer.PerformanceStandby,
		DRSecondary: answer.ReplicationDRMode == "secondary",
		Connection:  connection(answer.HAConnectionHealthy),
		Version:     answer.Version,
		ClusterID:   answer.ClusterID,
		ClusterName: answer.ClusterName,
	}, nil
}

func connection(healthy *bool) state.Connection {
	switch {
	case healthy == nil:
		return state.Unknown
	case *healthy:
		return state.Healthy
	default:
		return state.Broken
	}
}

// Leases returns the number of leases. It is not known yet in the first
// seconds of an active node.
func (c *client) Leases(ctx context.Context) (leases int64, known bool, err error) {
	authenticated, err := c.authenticated()
	if err != nil {
		return 0, false, err
	}
	var answer struct {
		Gauges []struct {
			Name  string
			Value float64
		}
	}
	err = get(ctx, authenticated, endpointMetrics, nil, &answer)
	if errors.Is(err, errSealed) { // since a moment ago
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	for _, gauge := range answer.Gauges {
		if strings.HasSuffix(gauge.Name, gaugeLeases) {
			return int64(gauge.Value), true, nil
		}
	}
	return 0, false, nil
}

// IrrevocableLeases returns the number of leases that Vault has given up on.
// It is not known of a server that was sealed a moment ago.
func (c *client) IrrevocableLeases(ctx context.Context) (leases int64, known bool, err error) {
	authenticated, err := c.authenticated()
	if err != nil {
		return 0, false, err
	}
	var answer struct {
		Data struct {
			LeaseCount int64 `json:"lease_count"`
		}
	}
	err = get(ctx, authenticated, endpointLeases, map[string][]string{"type": {"irrevocable"}}, &answer)
	if errors.Is(err, errSealed) {
		return 0, false, nil
	}
	return answer.Data.LeaseCount, err == nil, err
}

// authenticated returns a client that sends the token and the namespace.
func (c *client) authenticated() (*api.Client, error) {
	token, err := c.session.Read()
	if err != nil {
		return nil, err
	}
	return c.as(token).WithResponseCallbacks(c.session.overhear), nil
}

// as returns a client that sends a token, unless it is empty, and the namespace.
func (c *client) as(token string) *api.Client {
	return c.api.WithRequestCallbacks(func(r *api.Request) {
		r.ClientToken = token
		if c.namespace != "" {
			r.Headers.Set(api.NamespaceHeaderName, c.namespace)
		}
	})
}

// get decodes the answer of an endpoint into answer, that of an error too.
func get(ctx context.Context, from *api.Client, endpoint string, query map[string][]string, answer any) error {
	response, err := from.Logical().ReadRawWithDataWithContext(ctx, endpoint, query)
	if response == nil {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	defer response.Body.Close()
	if location := response.Header.Get("Location"); location != "" {
		return fmt.Errorf("%s: redirected to %s: set endpoint to the server itself", endpoint, location)
	}
	decodeErr := json.NewDecoder(response.Body).Decode(answer)
	if err != nil {
		return explain(endpoint, err)
	}
	var notJSON *json.SyntaxError
	if errors.As(decodeErr, &notJSON) {
		return fmt.Errorf("%s: %w: %w", endpoint, errForeign, decodeErr)
	}
	if decodeErr != nil {
		return fmt.Errorf("%s: %w", endpoint, decodeErr)
	}
	return nil
}

// explain says in one line what the API's own error says in many.
func explain(endpoint string, err error) error {
	var refused *api.ResponseError
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	if refused.RawError {
		return fmt.Errorf("%s: %w: status %d", endpoint, errForeign, refused.StatusCode)
	}
	if refused.StatusCode == http.StatusServiceUnavailable && slices.Contains(refused.Errors, saysSealed) {
		return fmt.Errorf("%s: %w", endpoint, errSealed)
	}
	said := sayAll(refused.Errors)
	if refused.StatusCode == http.StatusForbidden {
		return explainDenial(endpoint, said)
	}
	return fmt.Errorf("%s: status %d: %s", endpoint, refused.StatusCode, said)
}
