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

	list bool              // what is below the path, instead of reading it
	body map[string]string // nil: nothing is written
}

// do makes a request with the token, and decodes the whole answer into answer.
// What a list finds nothing below is refused with 404, as refusedWith tells.
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
	if refusedWith(err) == http.StatusNotFound || request.absent != "" && refusedWith(err) != 0 && strings.Contains(err.Error(), request.absent) {
		c.requests.count(request.endpoint, nil)
	} else {
		c.requests.count(request.endpoint, err)
	}
	return err
}

// list returns the names of what is below a path; none when there is nothing.
func (c *client) list(ctx context.Context, request call) ([]string, error) {
	request.list = true
	request.needs = cmp.Or(request.needs, "list")
	var answer struct{ Data struct{ Keys []string } }
	err := c.do(ctx, request, &answer)
	if refusedWith(err) == http.StatusNotFound {
		return nil, nil
	}
	return answer.Data.Keys, err
}

// getWithToken is like get, for what Vault does not tell to anybody.
func (c *client) getWithToken(ctx context.Context, endpoint string, answer any) error {
	return c.do(ctx, call{endpoint: endpoint}, answer)
}

// get decodes the answer of an endpoint into answer, that of an error too.
func (c *client) get(ctx context.Context, from vaultAPI, endpoint string, query map[string][]string, answer any) error {
	_, err := c.ask(ctx, from, endpoint, query, answer)
	return err
}

// ask is like get, and returns which node has answered, where Vault tells it.
func (c *client) ask(ctx context.Context, from vaultAPI, endpoint string, query map[string][]string, answer any) (node string, err error) {
	response, err := from.read(ctx, endpoint, query)
	node, err = take(endpoint, "read", response, err, answer)
	if endpoint != endpointHealth { // Its answers are errors for most states, and mean what their bodies tell.
		c.requests.count(endpoint, err)
	}
	return node, err
}

// take decodes what was answered, be it an error.
func take(endpoint, needs string, response *api.Response, err error, answer any) (node string, _ error) {
	decoded := decode(endpoint, response, err, answer)
	if err != nil && decoded == nil {
		decoded = explain(endpoint, needs, err)
	}
	if response != nil {
		node = cmp.Or(response.Header.Get(headerNode), response.Header.Get(headerHost))
	}
	return node, decoded
}

// decode decodes the body also when err is set, and then returns nil. An answer
// that has no body leaves the answer as it is.
func decode(endpoint string, response *api.Response, err error, answer any) error {
	if response == nil {
		return fmt.Errorf("%s: %w", endpoint, withoutURL(err))
	}
	defer response.Body.Close()
	if err == nil && response.StatusCode == http.StatusNoContent {
		return nil
	}
	decodeErr := decodeBody(json.NewDecoder(response.Body), answer)
	if err != nil || decodeErr == nil {
		return nil
	}
	var notJSON *json.SyntaxError
	if errors.As(decodeErr, &notJSON) {
		return fmt.Errorf("%s: %w: %w", endpoint, errForeign, decodeErr)
	}
	return fmt.Errorf("%s: %w", endpoint, decodeErr)
}

// decoder is an answer that is taken in piece by piece.
type decoder interface {
	decodeFrom(from *json.Decoder) error
}

func decodeBody(from *json.Decoder, answer any) error {
	if pieces, ok := answer.(decoder); ok {
		return pieces.decodeFrom(from)
	}
	return from.Decode(answer)
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
		return fmt.Errorf("%s: %w", endpoint, withoutURL(err))
	}
	if refused.RawError {
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
