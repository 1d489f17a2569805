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

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/redirect"
	"github.com/otelcol-infra/otelcol-infra/internal/requestcount"
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
	api       vaultAPI // has neither token nor namespace
	http      *http.Client
	session   *session
	requests  requestcount.Counter
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
	redirect.Refuse(httpClient, "endpoint") // A standby redirects to the active node, which is another instance.
	vault, err := newVaultAPI(cfg.HTTP.Endpoint, httpClient)
	if err != nil {
		return nil, err
	}
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

// authenticated returns an API that sends the token and the namespace.
func (c *client) authenticated() (vaultAPI, error) {
	token, err := c.session.Read()
	if err != nil {
		return vaultAPI{}, err
	}
	authenticated := c.as(token)
	authenticated.received = c.session.overhear
	return authenticated, nil
}

// as returns an API that sends a token, unless it is empty, and the namespace.
func (c *client) as(token string) vaultAPI {
	other := c.api
	other.token, other.namespace = token, c.namespace
	return other
}
