// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/internal/redirect"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
)

const (
	// wait is how long Consul may hold a blocking query that has nothing to tell.
	// Proxies commonly end a quiet connection after a minute.
	wait = 30 * time.Second

	tokenHeader = "X-Consul-Token"

	// maxExplanation is how many bytes of a server's refusal are told.
	maxExplanation = 256
)

// errForeign is the error of an answer that Consul would not give.
var errForeign = errors.New("the answer is not Consul's, check endpoint")

// client asks one Consul agent about one datacenter. It is made without Consul's own client, as that takes from the
// environment what the configuration leaves out, and offers no way to prevent it.
type client struct {
	http       *http.Client
	cfg        *Config
	token      tokenfile.Source
	datacenter string // empty: that of the agent
}

// newClient connects lazily: an absent server is found at the first request.
func newClient(ctx context.Context, cfg *Config, host component.Host, settings component.TelemetrySettings) (*client, error) {
	// Each request has a deadline of its own, as blocking queries take longer.
	unlimited := cfg.HTTP
	unlimited.Timeout = 0
	httpClient, err := unlimited.ToClient(ctx, host.GetExtensions(), settings)
	if err != nil {
		return nil, fmt.Errorf("http client for endpoint %s: %w", cfg.endpoint(), err)
	}
	redirect.Refuse(httpClient, "endpoint")
	return &client{http: httpClient, cfg: cfg, token: cfg.tokenOrEnvironment()}, nil
}

// of returns a client that asks about another datacenter over the same agent.
func (c *client) of(datacenter string) *client {
	other := *c
	other.datacenter = datacenter
	return &other
}

// close ends the idle connections. It may be called on nil.
func (c *client) close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// answer is what Consul said about an answer.
type answer struct {
	Index       uint64
	Objects     int  // that were read, observed or not
	Off         bool // what was asked for is turned off
	LastContact time.Duration

	// Filtered says that the token may not see all there is; Token tells one
	// token from another.
	Filtered bool
	Token    [sha256.Size]byte
}

func (c *client) timeout() time.Duration { return cmp.Or(c.cfg.HTTP.Timeout, defaultTimeout) }

// patience is how long an answer is waited for.
func (c *client) patience(q question) time.Duration {
	if q.after == 0 {
		return c.timeout()
	}
	return c.timeout() + wait + wait/16 // Consul adds up to wait/16 of jitter.
}

// question is how to ask.
type question struct {
	// after an index above zero, Consul is waited for until it has a newer
	// answer, for a while.
	after uint64
	// sure asks for a consistent answer, whatever is configured: a leader that has
	// just started may not have read its log yet. local asks for that of whichever
	// server is asked.
	sure, local bool
	// recurse asks for all keys under a prefix, of which there may be none.
	recurse bool
	// agent asks for what the agent itself knows, whatever the datacenter.
	agent bool
}

// parameters returns how a question is put in a URL.
func (c *client) parameters(q question) url.Values {
	parameters := url.Values{}
	set := func(name, value string) {
		if value != "" {
			parameters.Set(name, value)
		}
	}
	if q.after > 0 {
		set("index", strconv.FormatUint(q.after, 10))
		set("wait", wait.String())
	}
	if q.recurse {
		parameters.Set("recurse", "")
	}
	if q.agent {
		return parameters
	}
	set("dc", c.datacenter)
	set("ns", c.cfg.namespace())
	set("partition", c.cfg.partition())
	switch {
	case q.local:
		parameters.Set("stale", "")
	case c.cfg.Consistency == Consistent || q.sure:
		parameters.Set("consistent", "")
	case c.cfg.Consistency == Stale:
		parameters.Set("stale", "")
	}
	return parameters
}

// get makes a request of which the answer is JSON. Errors name the endpoint.
func get[T any](ctx context.Context, c *client, endpoint string, q question) (T, answer, error) {
	var none, into T
	ctx, cancel := context.WithTimeout(ctx, c.patience(q))
	defer cancel()
	response, err := c.send(ctx, endpoint, q)
	if err != nil {
		return none, answer{}, err
	}
	defer done(response)
	if response.StatusCode == http.StatusOK {
		if err := jsonanswer.Decode(response.Body, &into); err != nil {
			return none, answer{}, explain(endpoint, err)
		}
	}
	number := func(header string) uint64 {
		value, _ := strconv.ParseUint(response.Header.Get(header), 10, 64) // if it has one
		return value
	}
	return into, answer{
		Index:       number("X-Consul-Index"),
		LastContact: time.Duration(number("X-Consul-LastContact")) * time.Millisecond,
		Filtered:    response.Header.Get("X-Consul-Results-Filtered-By-ACLs") == "true",
		Token:       sha256.Sum256([]byte(response.Request.Header.Get(tokenHeader))),
	}, nil
}

// getLocal makes a request that the agent answers itself.
func getLocal[T any](ctx context.Context, c *client, endpoint string, q question) (T, answer, error) {
	q.agent = true
	return get[T](ctx, c, endpoint, q)
}

// getIndexed makes a request of which the answer has an index: others answer with
// `{}`, with `[]` and with 404, too.
func getIndexed[T any](ctx context.Context, c *client, endpoint string, q question) (T, answer, error) {
	value, a, err := get[T](ctx, c, endpoint, q)
	if err == nil && a.Index == 0 {
		var none T
		return none, a, fmt.Errorf("%s: %w: it has no index", endpoint, errForeign)
	}
	return value, a, err
}

// send makes a request. The status of the response is OK, or 404 when there are no keys. The caller closes the body.
func (c *client) send(ctx context.Context, endpoint string, q question) (*http.Response, error) {
	path, query, _ := strings.Cut(endpoint, "?")
	if q.recurse {
		path, query = endpoint, "" // A key may have a question mark.
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.cfg.endpoint(), "/"), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	request.URL.Path += "/v1/" + path
	request.URL.RawPath = ""
	request.URL.RawQuery = strings.Trim(query+"&"+c.parameters(q).Encode(), "&")
	token, err := c.token.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	if token != "" {
		request.Header.Set(tokenHeader, token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, explain(endpoint, err)
	}
	if response.StatusCode == http.StatusOK || q.recurse && response.StatusCode == http.StatusNotFound {
		return response, nil
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxExplanation+1)) // what there is of it
	return nil, explain(endpoint, api.StatusError{Code: response.StatusCode, Body: strings.TrimSpace(string(body))})
}

// done reads the little that may be left of a body, without which the connection would not be used again, and
// closes it.
func done(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, maxExplanation)
	_ = response.Body.Close() // It was read.
}

// explain names the request that failed, and the likely cause where the error
// alone would puzzle.
func explain(endpoint string, err error) error {
	var redirected *redirect.Error
	if errors.As(err, &redirected) {
		return fmt.Errorf("%s: %w", endpoint, redirected)
	}
	if jsonanswer.Foreign(err) {
		return fmt.Errorf("%s: %w: %w", endpoint, errForeign, err)
	}
	var refused api.StatusError
	if errors.As(err, &refused) {
		if len(refused.Body) > maxExplanation {
			refused.Body = strings.ToValidUTF8(refused.Body[:maxExplanation], "") + "…"
		}
		switch refused.Code {
		case http.StatusForbidden:
			return fmt.Errorf("%s: the token may not read it, see the ACLs in the receiver's README: %w", endpoint, refused)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return fmt.Errorf("%s: consul is busy: %w", endpoint, refused)
		}
		return fmt.Errorf("%s: %w", endpoint, refused)
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%s: set tls::ca_file to the CA of consul's certificate: %w", endpoint, err)
	}
	return fmt.Errorf("%s: %w", endpoint, err)
}

// unreachable reports whether there was no answer of Consul at all. One that is late
// may still come.
func unreachable(err error) bool {
	var redirected *redirect.Error
	if errors.As(err, &redirected) {
		return redirected.Elsewhere()
	}
	var failed *url.Error
	return errors.As(err, &failed) && !failed.Timeout() && !errors.Is(err, context.Canceled)
}

// refusal returns the HTTP status of a refusal, or 0.
func refusal(err error) int {
	var refused api.StatusError
	errors.As(err, &refused)
	return refused.Code
}
