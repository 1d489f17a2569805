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
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
)

// call is a request to one part of the API, made with the token.
type call struct {
	// endpoint is the part of the API as it is named in errors and in what is
	// told of it. It is of low cardinality, so it is no path that names an object.
	endpoint string

	// path is where the request goes; empty: endpoint.
	path string

	// needs are the capabilities that the token needs there; empty: read.
	needs string

	query map[string][]string

	// absent is how Vault says that there is no such thing, other than with 404:
	// that is an answer too.
	absent string

	none bool              // That there is no content is an answer, too.
	list bool              // what is below the path, instead of reading it
	body map[string]string // nil: nothing is written
}

// do makes a request with the token, and decodes the whole answer into answer, as
// jsonanswer.Decode does. What does not exist is a refusal, see isAbsent.
func (c *client) do(ctx context.Context, request call, answer any) error {
	authenticated, err := c.authenticated()
	if err != nil {
		return err
	}
	path := cmp.Or(request.path, request.endpoint)
	var response *api.Response
	switch {
	case request.body != nil:
		body, encodeErr := json.Marshal(request.body)
		if encodeErr != nil {
			return fmt.Errorf("%s: %w", request.endpoint, encodeErr)
		}
		response, err = authenticated.write(ctx, path, body)
	case request.list:
		response, err = authenticated.read(ctx, path, map[string][]string{"list": {"true"}})
	default:
		response, err = authenticated.read(ctx, path, request.query)
	}
	_, err = take(request.endpoint, cmp.Or(request.needs, "read"), response, err, answer)
	if isAbsent(err) || request.none && errors.Is(err, errNoContent) || request.absent != "" && refusedWith(err) != 0 && strings.Contains(err.Error(), request.absent) {
		c.requests.Count(request.endpoint, nil)
	} else {
		c.requests.Count(request.endpoint, err)
	}
	return err
}

// list returns the names of what is below a path; none when there is nothing.
func (c *client) list(ctx context.Context, request call) ([]string, error) {
	request.list = true
	request.needs = cmp.Or(request.needs, "list")
	var answer struct {
		Data struct {
			Keys []string `json:"keys" answer:"required"`
		} `json:"data"`
	}
	if err := c.do(ctx, request, &answer); isAbsent(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return answer.Data.Keys, nil
}

// getWithToken is like get, for what Vault does not tell to anybody.
func (c *client) getWithToken(ctx context.Context, endpoint string, answer any) error {
	return c.do(ctx, call{endpoint: endpoint}, answer)
}

// get decodes the answer of an endpoint into answer.
func (c *client) get(ctx context.Context, from vaultAPI, endpoint string, query map[string][]string, answer any) error {
	_, err := c.ask(ctx, from, endpoint, query, answer)
	return err
}

// ask is like get, and returns which node has answered, where Vault tells it.
func (c *client) ask(ctx context.Context, from vaultAPI, endpoint string, query map[string][]string, answer any) (node string, err error) {
	response, err := from.read(ctx, endpoint, query)
	node, err = take(endpoint, "read", response, err, answer)
	c.requests.Count(endpoint, err)
	return node, err
}

// take decodes an answer. For the health the body counts, not the status: that is one
// of an error for most states, and proxies have errors with these, too.
func take(endpoint, needs string, response *api.Response, err error, answer any) (node string, _ error) {
	if response == nil {
		return "", fmt.Errorf("%s: %w", endpoint, withoutURL(err))
	}
	defer response.Body.Close()
	node = cmp.Or(response.Header.Get(headerNode), response.Header.Get(headerHost))
	if err != nil && endpoint != endpointHealth {
		return node, explain(endpoint, needs, err)
	}
	if response.StatusCode == http.StatusNoContent {
		return node, fmt.Errorf("%s: %w: %w", endpoint, errForeign, errNoContent)
	}
	decoded := jsonanswer.Decode(response.Body, answer)
	if err != nil && decoded != nil {
		return node, explain(endpoint, needs, err)
	}
	return node, explainAnswer(endpoint, decoded)
}

// explainAnswer says what is wrong with an answer that is not an error.
func explainAnswer(endpoint string, err error) error {
	var lacks *jsonanswer.LackError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &lacks) && strings.HasPrefix(lacks.Field, "data"):
		return fmt.Errorf("%s: %w: %w, as where a proxy adds the header X-Vault-Wrap-TTL to requests", endpoint, errForeign, err)
	case jsonanswer.Foreign(err):
		return fmt.Errorf("%s: %w: %w", endpoint, errForeign, err)
	}
	return fmt.Errorf("%s: %w", endpoint, err)
}

// refusal is an answer of Vault that is an error.
type refusal struct {
	endpoint, said string
	status         int
	denial         error // of status 403: errInvalidToken or errDenied
}

// Unwrap returns what status 403 means.
func (r *refusal) Unwrap() error { return r.denial }

func (r *refusal) Error() string {
	if r.denial != nil {
		return fmt.Sprintf("%s: %v: %s", r.endpoint, r.denial, r.said)
	}
	return fmt.Sprintf("%s: status %d: %s", r.endpoint, r.status, r.said)
}

// refusedWith returns the status that Vault refused a request with, or 0.
func refusedWith(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// isAbsent says whether Vault answers that there is no such thing, or nothing to list:
// without a word, unlike where it has no such path.
func isAbsent(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusNotFound && r.said == ""
}

// withoutURL leaves out the URL, which can name an object, such as a user.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// explain says in one line what the API's own error says in many. needs are the
// capabilities without which the request is denied.
func explain(endpoint, needs string, err error) error {
	var refused *api.ResponseError
	if !errors.As(err, &refused) {
		return explainAnswer(endpoint, withoutURL(err))
	}
	if refused.RawError || refused.Errors == nil { // An error of Vault has a list of them, which may be empty.
		return fmt.Errorf("%s: %w: status %d", endpoint, errForeign, refused.StatusCode)
	}
	if refused.StatusCode == http.StatusServiceUnavailable && slices.Contains(refused.Errors, saysSealed) {
		return fmt.Errorf("%s: %w", endpoint, errSealed)
	}
	said := sayAll(refused.Errors)
	if refused.StatusCode == http.StatusForbidden {
		return explainDenial(endpoint, needs, said)
	}
	return &refusal{endpoint: endpoint, said: said, status: refused.StatusCode}
}
