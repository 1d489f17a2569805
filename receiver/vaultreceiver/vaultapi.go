// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"

	"github.com/hashicorp/vault/api"
)

// vaultAPI sends requests to Vault. It takes the place of Vault's own client, which reads many environment variables
// whenever one is made, fails when one of them is malformed, and offers no way to prevent it.
type vaultAPI struct {
	http             *http.Client
	base             *url.URL
	token, namespace string              // empty: none is sent
	received         func(*api.Response) // called with each response, unless it is nil
}

func newVaultAPI(endpoint string, client *http.Client) (vaultAPI, error) {
	base, err := url.Parse(endpoint)
	if err != nil {
		return vaultAPI{}, fmt.Errorf("endpoint: %w", withoutURL(err))
	}
	return vaultAPI{http: client, base: base}, nil
}

// read makes a request that changes nothing. When Vault answers with an error, it returns both.
func (c vaultAPI) read(ctx context.Context, path string, query url.Values) (*api.Response, error) {
	return c.send(ctx, http.MethodGet, path, query, http.NoBody)
}

// write makes a request with a body of JSON. When Vault answers with an error, it returns both.
func (c vaultAPI) write(ctx context.Context, path string, body []byte) (*api.Response, error) {
	return c.send(ctx, http.MethodPut, path, nil, bytes.NewReader(body))
}

func (c vaultAPI) send(ctx context.Context, method, to string, query url.Values, body io.Reader) (*api.Response, error) {
	address := *c.base
	address.Path, address.RawPath, address.RawQuery = path.Join(c.base.Path, "/v1", to), "", query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set(api.RequestHeaderName, "true")
	request.Header.Set("User-Agent", userAgent)
	if c.token != "" {
		request.Header.Set(api.AuthHeaderName, c.token)
	}
	if c.namespace != "" {
		request.Header.Set(api.NamespaceHeaderName, c.namespace)
	}
	answered, err := c.http.Do(request) //nolint:bodyclose // It is what is returned.
	if err != nil {
		return nil, err
	}
	response := &api.Response{Response: answered}
	if c.received != nil {
		c.received(response)
	}
	return response, response.Error()
}

// parseSecret reads a whole answer, and closes it.
func parseSecret(response *api.Response, err error) (*api.Secret, error) {
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	return api.ParseSecret(response.Body)
}
