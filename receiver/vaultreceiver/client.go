// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"
)

const (
	// gaugeLeases is how the name of the gauge ends; before it come a prefix
	// and, depending on Vault's telemetry stanza, the name of the host.
	gaugeLeases = ".expire.num_leases"

	// saysSealed is how Vault refuses a request because it is sealed.
	saysSealed = "Vault is sealed"

	// These headers tell which node has answered, where Vault is configured so.
	headerNode = "X-Vault-Raft-Node-ID"
	headerHost = "X-Vault-Hostname"
)

// userAgent tells Vault, and who reads its audit log, who asks.
const userAgent = "otelcol-infra-vaultreceiver"

var (
	// errForeign is the error of an answer that Vault would not give.
	errForeign = errors.New("the answer is not Vault's, check endpoint")

	// errNoContent is the error of an answer that there is none.
	errNoContent = errors.New("it has no content")

	errSealed = errors.New("the server is sealed")
)

// client is the part of the Vault API that the receiver uses.
type client struct {
	api       *api.Client // has neither token nor namespace
	http      *http.Client
	session   *session
	requests  *requests
	namespace string
}

// newClient connects lazily: an absent server is found at the first request.
func newClient(ctx context.Context, cfg *Config, host component.Host, settings receiver.Settings) (*client, error) {
	requests, err := newRequests(settings)
	if err != nil {
		return nil, err
	}
	limited := cfg.HTTP
	limited.Timeout = cmp.Or(limited.Timeout, defaultTimeout)
	httpClient, err := limited.ToClient(ctx, host.GetExtensions(), settings.TelemetrySettings)
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
	vault.SetHeaders(http.Header{api.RequestHeaderName: {"true"}, "User-Agent": {userAgent}})

	c := &client{api: vault, http: httpClient, requests: requests, namespace: cfg.Namespace}
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

// Leases returns the number of leases. It is not known yet in the first
// seconds of an active node.
func (c *client) Leases(ctx context.Context) (leases int64, known bool, err error) {
	authenticated, err := c.authenticated()
	if err != nil {
		return 0, false, err
	}
	var answer struct {
		Gauges []struct {
			Name  string `answer:"required"`
			Value float64
		} `answer:"required"`
	}
	err = c.get(ctx, authenticated, endpointMetrics, nil, &answer)
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
